// node-postgres and postgres.js, from npm.
const {Client, Pool} = require("pg");
const postgres = require("postgres");
const assert = require("assert").strict;

async function attempt(what, work) {
    try {
        await work();
        console.log(`ok ${what}`);
    } catch (error) {
        console.log(`not ok ${what}: ${String(error.message).replace(/\s+/g, " ")}`);
    }
}

async function main() {
    const client = new Client();
    await client.connect();
    await attempt("pg types", async () => {
        const {rows} = await client.query(
            "select $1::int as i, $2::text as t, $3::jsonb as j, $4::timestamptz as d, $5::bytea as b, " +
            "$6::int[] as a, $7::bool as o",
            [1, "größe", {k: [1]}, new Date(0), Buffer.from([0, 255]), [1, 2], true]);
        assert.deepEqual(rows[0], {i: 1, t: "größe", j: {k: [1]}, d: new Date(0),
            b: Buffer.from([0, 255]), a: [1, 2], o: true});
    });
    await attempt("pg named statements", async () => {
        for (let i = 0; i < 3; i++) {
            const {rows} = await client.query({name: "s", text: "select $1::int * 2 as x", values: [i]});
            assert.equal(rows[0].x, 2 * i);
        }
    });
    await attempt("pg errors", async () => {
        await client.query("create table np (id int primary key)");
        await client.query("insert into np values (1)");
        await assert.rejects(client.query("insert into np values (1)"),
            {code: "23505", constraint: "np_pkey", table: "np"});
    });
    await attempt("pg pool", async () => {
        const pool = new Pool({max: 4});
        const answers = await Promise.all(Array.from({length: 20}, (_, i) =>
            pool.query("select $1::int as x", [i])));
        assert.deepEqual(answers.map(a => a.rows[0].x), Array.from({length: 20}, (_, i) => i));
        await pool.end();
    });
    await attempt("pg notifications", async () => {
        const seen = new Promise(resolve => client.once("notification", resolve));
        await client.query("listen np");
        await client.query("notify np, 'hi'");
        assert.equal((await seen).payload, "hi");
    });
    await client.end();

    const sql = postgres({max: 2, onnotice: () => {}});
    await attempt("postgres.js types", async () => {
        const [row] = await sql`select ${1}::int as i, ${"x"}::text as t, ${sql.json({a: 1})}::jsonb as j`;
        assert.deepEqual({...row}, {i: 1, t: "x", j: {a: 1}});
    });
    await attempt("postgres.js inserts and transactions", async () => {
        await sql`create table npj (id serial primary key, name text, n int)`;
        const rows = await sql`insert into npj ${sql([{name: "a", n: 1}, {name: "b", n: 2}])} returning id`;
        assert.deepEqual(rows.map(r => r.id), [1, 2]);
        await assert.rejects(sql.begin(async inner => {
            await inner`delete from npj`;
            throw new Error("back");
        }), {message: "back"});
        assert.equal((await sql`select count(*)::int as n from npj`)[0].n, 2);
    });
    await attempt("postgres.js cursors", async () => {
        const seen = [];
        await sql`select generate_series(1, 25) as x`.cursor(10, rows => { seen.push(rows.length); });
        assert.deepEqual(seen, [10, 10, 5]);
    });
    await attempt("postgres.js listen", async () => {
        const seen = new Promise(resolve => sql.listen("npj", resolve).then(() => sql.notify("npj", "yo")));
        assert.equal(await seen, "yo");
    });
    await sql.end();
}

main().catch(error => { console.log(error); process.exit(1); });
