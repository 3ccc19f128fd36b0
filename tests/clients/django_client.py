"""Django: migrations, the ORM, inspectdb."""
import contextlib
import io

import django
from django.conf import settings
from tap import DATABASE, HOST, PORT, USER, attempt, equal

settings.configure(
    DEBUG=True, SECRET_KEY="x", DEFAULT_AUTO_FIELD="django.db.models.AutoField", USE_TZ=True,
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions"],
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": DATABASE, "USER": USER,
                           "HOST": HOST, "PORT": PORT}})
django.setup()
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.db.models import Count, F, Q


@attempt("migrate")
def _():
    call_command("migrate", verbosity=0)


@attempt("users and groups")
def _():
    for i in range(5):
        User.objects.create_user(f"c_{i}", f"{i}@x.org", "pw")
    group = Group.objects.create(name="c_group")
    group.user_set.set(User.objects.filter(username__in=["c_1", "c_2"]))
    equal(User.objects.filter(username__startswith="c_").count(), 5)
    equal(list(User.objects.filter(groups__name="c_group").order_by("-username")
               .values_list("username", flat=True)), ["c_2", "c_1"])
    equal(User.objects.filter(Q(username__iexact="C_3") | Q(email__icontains="4@X")).count(), 2)
    User.objects.filter(username="c_1").update(first_name=F("username"))
    equal(User.objects.get(username="c_1").first_name, "c_1")
    equal(Group.objects.annotate(n=Count("user")).get(name="c_group").n, 2)
    equal(User.objects.get(username="c_0").check_password("pw"), True)


@attempt("transactions and locks")
def _():
    try:
        with transaction.atomic():
            User.objects.create(username="c_1")
        raise AssertionError("no error")
    except IntegrityError:
        pass
    with transaction.atomic():
        equal(User.objects.select_for_update().get(username="c_2").username, "c_2")


@attempt("iterator by a server-side cursor")
def _():
    equal(len(list(User.objects.order_by("id").iterator(chunk_size=2))), 5)


@attempt("introspection and inspectdb")
def _():
    equal("auth_user" in connection.introspection.table_names(), True)
    words = io.StringIO()
    with contextlib.redirect_stdout(words):
        call_command("inspectdb", "auth_user", "auth_group")
    for part in ("username = models.CharField(unique=True, max_length=150)",
                 "class AuthGroup(models.Model)"):
        equal(part in words.getvalue(), True)


@attempt("delete, and migrate back")
def _():
    User.objects.all().delete()
    Group.objects.all().delete()
    call_command("migrate", "auth", "zero", verbosity=0)


@attempt("a test database: made, migrated, used, made again, dropped")
def _():
    before = connection.settings_dict["NAME"]
    name = connection.creation.create_test_db(verbosity=0, autoclobber=True)
    equal(name, "test_" + before)
    User.objects.create(username="only_here")
    equal(list(User.objects.values_list("username", flat=True)), ["only_here"])
    connection.close()
    connection.settings_dict["NAME"] = before
    equal(connection.creation.create_test_db(verbosity=0, autoclobber=True), name)
    equal(User.objects.count(), 0)
    connection.creation.destroy_test_db(before, verbosity=0)
    equal("auth_user" in connection.introspection.table_names(), False)
