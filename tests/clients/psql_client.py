"""psql's backslash commands: all run, and those below answer what they answer on PostgreSQL 15.

PSQL_RECORD=1 with PostgreSQL as the server writes psql.expected.
"""
import json
import os
import re
import subprocess

from tap import attempt, equal

HERE = os.path.dirname(os.path.abspath(__file__))
EXPECTED = os.path.join(HERE, "psql.expected")
SAME = r"""\d app.*|\d app.orders|\d app.customer|\d app.a_rich|\d app.seq|\d app.orders_note
\d+ app.a_rich|\d app.plain|\dt app.*|\di app.*|\dv app.*|\ds app.*|\dn app|\dp app.*|\z app.customer
\df app.*|\df abs|\dD|\dT app.*|\dd app.*|\ddp|\sv app.a_rich|\du dump_reader|\dg dump_reader
\dE|\des|\dew|\det|\dm|\dO|\dP|\drds|\dRp|\dRs|\dy|\dX|\dl|\dconfig DateStyle|\db|\dc|\dt nothing|\d nothing
\encoding|\if true \echo yes \endif|select 1 \gdesc
select 'create schema if not exists gx' \gexec|select 7 as seven \gset|\crosstabview"""
ALL = r"""\d|\d+|\dt|\dt+|\dt *.*|\di+ app.*|\ds+ app.*|\dv+ app.*|\d+ app.orders|\d+ app.customer|\d+ app.seq|\dn|\dn+|\df
\df+ abs|\du|\du+|\l|\l+|\dT|\dT+|\dx|\dx+|\da|\dC|\dF|\dFd|\dFp|\dFt|\dL|\do|\dA|\dAc|\dAf|\dAp|\dconfig|\dd
\d pg_class|\d information_schema.tables|\dS|\conninfo|\dp|\d *|\lo_list|\errverbose|\dti+ app.*"""


def run(command):
    words = ["-c", command]
    if not command.startswith("\\"):
        words = ["-f", "-"]
    elif command.startswith("\\if"):
        words = [word for part in ("\\if true", "\\echo yes", "\\endif") for word in ("-c", part)]
    done = subprocess.run(["psql", "-X", *words], capture_output=True, text=True, check=False,
                          input=command + "\n", timeout=60)
    return done.stdout + done.stderr


def commands(text):
    return [command for line in text.split("\n") for command in line.split("|")]


subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", os.path.join(HERE, "schema.sql")],
               check=True, stdout=subprocess.DEVNULL)
if os.environ.get("PSQL_RECORD"):
    with open(EXPECTED, "w", encoding="utf-8") as file:
        json.dump({command: run(command) for command in commands(SAME)}, file, indent=0)
with open(EXPECTED, encoding="utf-8") as file:
    expected = json.load(file)
for command in commands(SAME):
    @attempt(command.replace(":", ";"))
    def _():
        equal(run(command), expected[command])


@attempt("every other command")
def _():
    for command in commands(ALL):
        answer = run(command)
        if re.search("ERROR|FATAL|no connection", answer):
            raise AssertionError(f"{command}: {answer[:300]}")
