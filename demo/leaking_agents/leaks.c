/* Remembers every request, and uses a buffer for each that it gives back. Its heartbeats stand in
 * the file of $HEART, as in heart.py. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct note {
    struct note *next;
    char text[1000];
};

static struct note *notes;

__attribute__((noinline)) void remember_request(void)
{
    struct note *note = malloc(sizeof *note);
    memset(note, 1, sizeof *note);
    note->next = notes;
    notes = note;
}

__attribute__((noinline)) void handle_request(int number)
{
    char *buffer = malloc(30000 + number % 7 * 1000);
    memset(buffer, 2, 30000);
    usleep(300);
    free(buffer);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static double waited_for_a_cpu(int schedstat)
{
    char text[100] = "";
    unsigned long long ran, waited = 0;
    if (pread(schedstat, text, sizeof text - 1, 0) > 0)
        sscanf(text, "%llu %llu", &ran, &waited);
    return waited / 1e9;
}

/* The time and the wait until then, at once as far as can be: as in heart.py. */
static double now_and_wait(int schedstat, double *waited)
{
    double at;
    do {
        at = now();
        *waited = waited_for_a_cpu(schedstat);
    } while (now() - at > 0.005);
    return at;
}

int main(int argc, char **argv)
{
    (void)argv;
    int schedstat = open("/proc/self/schedstat", O_RDONLY);
    int told = open(getenv("HEART"), O_WRONLY | O_CREAT, 0644);
    double waited, longest = 0, began = now_and_wait(schedstat, &waited);
    for (int number = 0;; number++) {
        handle_request(number);
        double waits, ended = now_and_wait(schedstat, &waits);
        double stall = ended - began - (waits - waited);
        longest = stall > longest ? stall : longest;
        began = ended, waited = waits;
        dprintf(told, "%12d %12.6f", number, longest);
        lseek(told, 0, SEEK_SET);
        if (argc == 1)
            remember_request();
    }
}
