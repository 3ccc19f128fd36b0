/*
 * tests/sim/main.c - tusk_sim: runs seeds, each twice, and says how to repeat the one that fails.
 *
 *     tusk_sim --seed N [--count K] [--once] [--verbose]    seeds N, N + 1, ...
 *     tusk_sim --points --seed N [--count K] [--at I]       a crash at every file operation of a
 *                                                           small run, K of them, from the I-th
 *     tusk_sim --seconds S --seed N                         as many seeds as the time allows
 *
 * --disk good, faults, rot, lies or lost: every run has that kind, which otherwise comes from the
 * seed.
 *
 * Exit status 0: all good.
 */
#include <getopt.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/sim.h"

enum {
    LIFE_SECONDS_MAX = 120,
    TELL_SECONDS = 60,
    SEEDS_WITH_SKEW = 1000, /* among so many there must be some */
};

static struct buffer template; /* a database with our tables, by fat or not */
static const char *const disk_names[] = {"good", "faults", "rot", "lies", "lost"};
static int disk_wanted = -1; /* index of disk_names */

struct options {
    uint64_t seed, count, at;
    double seconds;
    bool once, points;
    const char *program;
};

/* ---- what a seed means ----------------------------------------------------------------------- */

struct course {
    uint64_t state;
    unsigned lives;
    bool from_nothing; /* no template: the first life creates the database */
    struct life common;
    enum {
        DISK_GOOD,   /* crashes only */
        DISK_FAULTS, /* errors, slowness, failing syncs, no room */
        DISK_ROT,
        DISK_LIES, /* the log's and directories' writes */
        DISK_LOST, /* writes or syncs of the data file do nothing */
    } disk;
};

static uint64_t
draw(struct course *course, uint64_t bound)
{
    course->state += 0x9e3779b97f4a7c15ULL;
    return hash_u64(course->state) % bound;
}

static void
plan_seed(struct course *course, uint64_t seed)
{
    static const uint64_t caches[] = {1, 1, 1, 64};
    static const uint64_t segments[] = {64, 128, 256, 1024};
    static const int isolations[] = {2, 2, 2, 2, 1, 0};
    *course = (struct course){.state = hash_u64(seed ^ 0x706c616eULL)};
    course->lives = 2 + (unsigned)draw(course, 4);
    course->from_nothing = draw(course, 8) == 0;
    unsigned disk = (unsigned)draw(course, 16);
    course->disk = disk < 10   ? DISK_GOOD
                   : disk < 13 ? DISK_FAULTS
                   : disk < 14 ? DISK_ROT
                   : disk < 15 ? DISK_LIES
                               : DISK_LOST;
    course->disk = disk_wanted < 0 ? course->disk : (unsigned)disk_wanted;
    struct life *common = &course->common;
    common->fat = draw(course, 4) == 0 ? 200 + (unsigned)draw(course, 1000) : 0;
    common->rows = common->fat == 0 ? 48 : 256; /* then more than the smallest cache holds */
    common->isolation = isolations[draw(course, 6)];
    common->workloads = 1 + (int)draw(course, 15);
    if (common->workloads == SIM_ADMIN) {
        common->workloads |= SIM_BANK;
    }
    if (course->disk ==
        DISK_LIES) { /* what is lost cannot be told from what is wrong but by sums */
        common->workloads = SIM_BANK | SIM_ADMIN;
    }
    common->clients = 1 + (unsigned)draw(course, 4);
    common->cuts = draw(course, 5) == 0;
    common->world.worker_count = 1 + (unsigned)draw(course, 4);
    common->world.delay_us_max = draw(course, 4) == 0 ? 20 : 200;
    common->world.disk_us_max = draw(course, 3) == 0 ? 6000 : 0;
    common->server = (struct server_options){
        .data_directory = "db",
        .wal_segment_size = segments[draw(course, 4)] << 10,
        .checkpoint_wal_size = draw(course, 2) == 0 ? 0 : (16 + draw(course, 200)) << 10,
        .system_user = "sim",
    };
    common->cache_size = caches[draw(course, 4)] << 20;
    if (course->disk == DISK_LOST) { /* places are used again and again */
        common->workloads |= SIM_BANK | SIM_ADMIN;
        common->server.checkpoint_wal_size = 4 << 10;
    }
    if (draw(course, 4) == 0) {
        common->workloads |= SIM_SAGAS;
    }
    if (!course->from_nothing) {
        common->server.wal_segment_size = 64 << 10; /* the template's */
    }
}

static uint32_t
small_chance(struct course *course)
{
    static const uint32_t chances[] = {0, 0, 300, 1500, 5000};
    return chances[draw(course, 5)];
}

static void
plan_faults(struct course *course, struct world_sim_faults *faults)
{
    faults->slow = small_chance(course);
    if (course->disk == DISK_FAULTS) {
        faults->read_error = small_chance(course);
        faults->write_error = small_chance(course);
        faults->sync_error = small_chance(course);
        if (draw(course, 2) == 0) {
            faults->disk_size = kept->disk_size + (draw(course, 2000) << 10);
        }
    } else if (course->disk == DISK_ROT) {
        faults->rot = 1 + small_chance(course);
    } else if (course->disk == DISK_LIES) {
        faults->write_lie = draw(course, 2) == 0 ? 65536 : 100 + small_chance(course) * 20;
    } else if (course->disk == DISK_LOST) {
        *(draw(course, 4) == 0 ? &faults->sync_lie : &faults->write_lost) = 6000;
        faults->lie_name = "data.tusk";
    }
}

static void
plan_life(struct course *course, unsigned number)
{
    life = course->common;
    life.number = number;
    life.last = number + 1 == course->lives;
    life.world.quiet = !sim_verbose;
    life.world.disk = slice_of(kept->disk, kept->disk_size);
    life.steps = 4 + (unsigned)draw(course, 12) + (course->disk == DISK_LOST ? 60 : 0);
    life.end = draw(course, 4) == 0 ? WORLD_SIM_KILLED : WORLD_SIM_POWER_CUT;
    if (life.cuts && !life.last) {
        life.world.faults.cut = 200 + small_chance(course);
    } else {
        life.cuts = false;
    }
    if (life.last) {
        return;
    }
    plan_faults(course, &life.world.faults);
    life.faulty = course->disk == DISK_FAULTS;
    kept->faulty |= life.faulty;
    if (course->disk == DISK_ROT || course->disk == DISK_LIES || course->disk == DISK_LOST) {
        kept->damaged = true;
        kept->lied = course->disk == DISK_LIES;
    }
    uint64_t how = draw(course, 8);
    if (how < 3) {
        life.world.crash_at_us = (int64_t)draw(course, 1000ULL << draw(course, 8)) + 1;
    } else if (how < 6) {
        life.world.crash_at_io = draw(course, 8ULL << draw(course, 5)) + 1;
    } else if (how < 7) {
        life.sudden = true;
    }
}

/* ---- running --------------------------------------------------------------------------------- */

/* A life in a process of its own; false if the run has failed. */
static bool
run_life(void)
{
    (void)fflush(NULL);
    pid_t child = fork();
    ASSERT(child >= 0);
    if (child == 0) {
        (void)alarm(LIFE_SECONDS_MAX);
        life_run();
    }
    int status = 0;
    ASSERT(waitpid(child, &status, 0) == child);
    if (WIFSIGNALED(status) && kept->failure[0] == '\0') {
        (void)snprintf(kept->failure, sizeof kept->failure, "the process was ended by signal %d%s",
            WTERMSIG(status), WTERMSIG(status) == SIGALRM ? " (it took too long)" : "");
    } else if (WEXITSTATUS(status) != 0 && kept->failure[0] == '\0') {
        (void)snprintf(kept->failure, sizeof kept->failure, "the process ended with status %d",
            WEXITSTATUS(status));
    }
    return kept->failure[0] == '\0';
}

static void
begin_run(uint64_t seed, bool from_nothing)
{
    kept_reset(seed);
    bank_create();
    lists_create();
    model_create();
    side_create();
    sagas_create();
    if (!from_nothing) {
        memcpy(kept->disk, template.data, template.size);
        kept->disk_size = template.size;
        kept->set_up = true;
    }
}

static bool
run_seed(uint64_t seed)
{
    struct course course;
    plan_seed(&course, seed);
    begin_run(seed, course.from_nothing);
    for (unsigned i = 0; i < course.lives && !kept->refused; i++) {
        plan_life(&course, i);
        if (!run_life()) {
            return false;
        }
    }
    return true;
}

/* A small run whose first life crashes at operation `at`; *over: it ended before. The second life
 * sometimes crashes too, in recovery or soon after. */
static bool
run_point(uint64_t seed, uint64_t at, bool *over)
{
    struct course course;
    plan_seed(&course, seed);
    course.disk = DISK_GOOD;
    course.lives = 3;
    course.common.workloads = SIM_BANK | SIM_MODEL | SIM_ADMIN | SIM_SAGAS;
    course.common.clients = 1;
    course.common.cuts = false;
    begin_run(seed, course.from_nothing);
    for (unsigned i = 0; i < course.lives; i++) {
        plan_life(&course, i);
        life.steps = 8;
        life.world.crash_at_us = 0;
        life.sudden = false;
        life.world.crash_at_io = i == 0 ? at : i == 1 ? 1 + hash_u64(seed + at) % 64 : 0;
        uint64_t ios = kept->ios;
        if (!run_life()) {
            return false;
        }
        if (i == 0 && kept->ios - ios < at) {
            *over = true;
        }
    }
    return true;
}

struct outcome {
    bool good;
    uint64_t trace, statements, commits, ios, unknown;
    bool refused, skewed;
};

static struct outcome
look(bool good)
{
    return (struct outcome){.good = good,
        .trace = kept->trace,
        .statements = kept->statements,
        .commits = kept->commits,
        .ios = kept->ios,
        .unknown = kept->unknown,
        .refused = kept->refused,
        .skewed = kept->skewed};
}

static struct outcome
run_once(const struct options *options, uint64_t seed, uint64_t at, bool *over)
{
    return look(options->points ? run_point(seed, at, over) : run_seed(seed));
}

static void
print_command(const struct options *options, uint64_t seed, uint64_t at)
{
    if (options->points) {
        (void)printf("repeat: %s --points --seed %llu --at %llu --count 1 --verbose\n",
            options->program, (unsigned long long)seed, (unsigned long long)at);
    } else {
        (void)printf("repeat: %s --seed %llu%s%s --verbose\n", options->program,
            (unsigned long long)seed, disk_wanted < 0 ? "" : " --disk ",
            disk_wanted < 0 ? "" : disk_names[disk_wanted]);
    }
}

static double
seconds(void)
{
    struct timespec now;
    (void)timespec_get(&now, TIME_UTC);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int
run_all(const struct options *options)
{
    double start = seconds();
    double tell_at = start + TELL_SECONDS;
    struct outcome sum = {0};
    uint64_t done = 0;
    uint64_t refused = 0;
    uint64_t skewed = 0;
    bool over = false;
    for (; options->seconds > 0 ? seconds() - start < options->seconds : done < options->count;
         done++) {
        uint64_t seed = options->points ? options->seed : options->seed + done;
        uint64_t at = options->at + done;
        struct outcome first = run_once(options, seed, at, &over);
        struct outcome again = first;
        if (first.good && !options->once) {
            again = run_once(options, seed, at, &over);
        }
        if (!first.good || !again.good || first.trace != again.trace) {
            (void)printf("seed %llu failed: %s\n", (unsigned long long)seed,
                first.good && again.good ? "two runs differ" : kept->failure);
            print_command(options, seed, at);
            return 1;
        }
        if (options->count == 1) {
            (void)printf("seed %llu: trace %016llx%s\n", (unsigned long long)seed,
                (unsigned long long)first.trace, first.refused ? ", damage was noticed" : "");
        }
        sum.statements += first.statements;
        sum.commits += first.commits;
        sum.ios += first.ios;
        sum.unknown += first.unknown;
        sum.trace = hash_u64(sum.trace ^ first.trace);
        refused += first.refused;
        skewed += first.skewed;
        if (seconds() > tell_at) {
            tell_at += TELL_SECONDS;
            (void)printf("%llu seeds, %.0f a minute\n", (unsigned long long)done + 1,
                (double)(done + 1) * 60 / (seconds() - start));
            (void)fflush(stdout);
        }
        if (over) {
            done++;
            break;
        }
    }
    double took = seconds() - start;
    (void)printf(
        "%llu %s: %llu statements, %llu commits, %llu of unknown outcome, %llu file "
        "operations, %llu noticed damage, %llu with write skew at REPEATABLE READ; %.0f seeds "
        "a minute; trace %016llx\n",
        (unsigned long long)done, options->points ? "crash points" : "seeds",
        (unsigned long long)sum.statements, (unsigned long long)sum.commits,
        (unsigned long long)sum.unknown, (unsigned long long)sum.ios, (unsigned long long)refused,
        (unsigned long long)skewed, (double)done * 60 / took, (unsigned long long)sum.trace);
    if (!options->points && done >= SEEDS_WITH_SKEW && skewed == 0) {
        (void)printf("no history at REPEATABLE READ has write skew: the judge sees nothing\n");
        return 1;
    }
    return 0;
}

static void
make_template(void)
{
    struct course course;
    plan_seed(&course, 0);
    begin_run(0, true);
    kept->template = true;
    life = course.common;
    life.workloads = 0;
    life.server.wal_segment_size = 64 << 10;
    life.world = (struct world_sim_options){.quiet = true};
    life.end = WORLD_SIM_KILLED;
    life_make_template(&template);
    if (!kept->set_up) {
        (void)fprintf(stderr, "could not make the first database\n");
        exit(2);
    }
}

static int
disk_of(const char *name)
{
    for (int i = 0; i < (int)(sizeof disk_names / sizeof disk_names[0]); i++) {
        if (strcmp(name, disk_names[i]) == 0) {
            return i;
        }
    }
    (void)fprintf(stderr, "no such disk: %s\n", name);
    exit(2);
}

static struct options
parse(int argc, char **argv)
{
    static const struct option names[] = {{"seed", required_argument, NULL, 's'},
        {"count", required_argument, NULL, 'c'}, {"at", required_argument, NULL, 'a'},
        {"seconds", required_argument, NULL, 't'}, {"once", no_argument, NULL, 'o'},
        {"disk", required_argument, NULL, 'd'}, {"points", no_argument, NULL, 'p'},
        {"verbose", no_argument, NULL, 'v'}, {NULL, 0, NULL, 0}};
    struct options options = {.seed = 1, .count = 1, .at = 1, .program = argv[0]};
    int option = 0;
    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (option) {
        case 's':
            options.seed = strtoull(optarg, NULL, 10);
            break;
        case 'c':
            options.count = strtoull(optarg, NULL, 10);
            break;
        case 'a':
            options.at = strtoull(optarg, NULL, 10);
            break;
        case 't':
            options.seconds = strtod(optarg, NULL);
            break;
        case 'o':
            options.once = true;
            break;
        case 'd':
            disk_wanted = disk_of(optarg);
            break;
        case 'p':
            options.points = true;
            break;
        case 'v':
            sim_verbose = true;
            options.once = true;
            break;
        default:
            exit(2);
        }
    }
    return options;
}

int
main(int argc, char **argv)
{
    struct options options = parse(argc, argv);
    /* Large arrays that are hardly used stay fresh mappings in every life, and cost no zeroing. */
    (void)mallopt(M_MMAP_THRESHOLD, 128 * 1024);
    kept_create();
    make_template();
    return run_all(&options);
}
