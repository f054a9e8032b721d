/* Remembers every request, and uses a buffer for each that it gives back. */
#include <stdlib.h>
#include <string.h>
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

int main(int argc, char **argv)
{
    (void)argv;
    for (int number = 0;; number++) {
        handle_request(number);
        if (argc == 1)
            remember_request();
    }
}
