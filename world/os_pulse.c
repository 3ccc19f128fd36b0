/*
 * world/os_pulse.c - shorter turns on a crowded processor.
 *
 * The kernel looks who is next at its ticks (each 4 ms at 250 Hz) and when somebody wakes. Where
 * workers share processors with programs that never sleep, a worker that a tick has sent away
 * stands still until another tick, and all its connections with it: 5 ms for one in a hundred
 * statements of 32 busy clients, which take 10 us each. So as long as that happens to a worker, a
 * thread wakes on its processor every half millisecond and goes back to sleep: an occasion for the
 * kernel to look. It shares out time as before, in shorter turns; the worker gets no priority by it
 * and no more time.
 *
 * Turns are what it costs, so nothing beats for a worker that is sent away for short moments only,
 * by clients that wake and sleep again.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/mem.h"
#include "world/os_internal.h"

enum {
    BEAT_US = 500,
    BEATING_US = 100000, /* after a worker was seen to wait */
    LONG_WAIT_US = 1500,
    POLLS_PER_LOOK = 16,
    PULSE_STACK_SIZE = 256 * 1024,
};

struct os_pulse {
    const struct world *world;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wanted;
    bool stop; /* under mutex */
    _Atomic int64_t until_us;
    _Atomic int resting;
    /* The worker's: */
    unsigned polls;
    int processor;
    int schedstat_fd; /* -1: not yet opened; -2: cannot be had */
    long losses;      /* how often it was sent away */
    uint64_t waited_us;
};

static void *
pulse_main(void *arg)
{
    struct os_pulse *pulse = arg;
    (void)prctl(PR_SET_TIMERSLACK, 1);
    const struct timespec beat = {.tv_nsec = BEAT_US * 1000};
    bool stop = false;
    while (!stop) {
        if (world_clock_us(pulse->world) >= atomic_load(&pulse->until_us)) {
            (void)pthread_mutex_lock(&pulse->mutex);
            /* Dekker with os__pulse_look: it sets until_us, then looks whether we rest. */
            atomic_store(&pulse->resting, 1);
            while (!pulse->stop && world_clock_us(pulse->world) >= atomic_load(&pulse->until_us)) {
                (void)pthread_cond_wait(&pulse->wanted, &pulse->mutex);
            }
            atomic_store(&pulse->resting, 0);
            stop = pulse->stop;
            (void)pthread_mutex_unlock(&pulse->mutex);
        }
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &beat, NULL);
    }
    return NULL;
}

struct os_pulse *
os__pulses_new(struct world *world)
{
    struct os_pulse *pulses = mem_array(world->worker_count, sizeof *pulses);
    pthread_attr_t attributes;
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, PULSE_STACK_SIZE);
    for (unsigned i = 0; i < world->worker_count; i++) {
        struct os_pulse *pulse = &pulses[i];
        *pulse = (struct os_pulse){.world = world, .processor = -1, .schedstat_fd = -1};
        (void)pthread_mutex_init(&pulse->mutex, NULL);
        (void)pthread_cond_init(&pulse->wanted, NULL);
        int failed = pthread_create(&pulse->thread, &attributes, pulse_main, pulse);
        ASSERT(failed == 0);
    }
    (void)pthread_attr_destroy(&attributes);
    return pulses;
}

static void
wake_pulse(struct os_pulse *pulse, bool stop)
{
    (void)pthread_mutex_lock(&pulse->mutex);
    pulse->stop = stop;
    (void)pthread_cond_signal(&pulse->wanted);
    (void)pthread_mutex_unlock(&pulse->mutex);
}

void
os__pulses_delete(struct os_pulse *pulses, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        atomic_store(&pulses[i].until_us, 0);
        wake_pulse(&pulses[i], true);
        (void)pthread_join(pulses[i].thread, NULL);
        (void)pthread_mutex_destroy(&pulses[i].mutex);
        (void)pthread_cond_destroy(&pulses[i].wanted);
        if (pulses[i].schedstat_fd >= 0) {
            (void)close(pulses[i].schedstat_fd);
        }
    }
    mem_free(pulses);
}

/* How long the calling thread has been ready and did not run, since its birth. */
static uint64_t
waited_us(struct os_pulse *pulse)
{
    if (pulse->schedstat_fd == -1) {
        int fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
        pulse->schedstat_fd = fd < 0 ? -2 : fd;
    }
    char text[128];
    ssize_t size =
        pulse->schedstat_fd < 0 ? -1 : pread(pulse->schedstat_fd, text, sizeof text - 1, 0);
    text[size < 0 ? 0 : size] = 0;
    unsigned long long ran_ns = 0;
    unsigned long long waited_ns = 0;
    return sscanf(text, "%llu %llu", &ran_ns, &waited_ns) == 2 ? waited_ns / 1000
                                                               : pulse->waited_us;
}

/* The pulse beats where the worker runs. */
static void
follow(struct os_pulse *pulse)
{
    int processor = sched_getcpu();
    if (processor >= 0 && processor < CPU_SETSIZE && processor != pulse->processor) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET((unsigned)processor, &set);
        (void)pthread_setaffinity_np(pulse->thread, sizeof set, &set);
        pulse->processor = processor;
    }
}

void
os__pulse_look(struct os_pulse *pulses, unsigned worker_index)
{
    struct os_pulse *pulse = &pulses[worker_index];
    struct rusage usage;
    if (++pulse->polls % POLLS_PER_LOOK != 0 || getrusage(RUSAGE_THREAD, &usage) != 0 ||
        usage.ru_nivcsw == pulse->losses) {
        return;
    }
    uint64_t losses = (uint64_t)(usage.ru_nivcsw - pulse->losses);
    uint64_t waited = waited_us(pulse);
    bool is_long = waited - pulse->waited_us >= LONG_WAIT_US * losses;
    pulse->losses = usage.ru_nivcsw;
    pulse->waited_us = waited;
    if (is_long) {
        follow(pulse);
        atomic_store(&pulse->until_us, world_clock_us(pulse->world) + BEATING_US);
        if (atomic_load(&pulse->resting) != 0) {
            wake_pulse(pulse, false);
        }
    }
}
