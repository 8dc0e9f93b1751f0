// SPDX-License-Identifier: MIT
// top_terminal: see top_terminal.h. A handler of a crash may only make calls that are safe there:
// tcsetattr and write are.
#include "top_terminal.h"

#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include "attr.h"

#define ENTER "\033[?1049h\033[?25l"
#define LEAVE "\033[?25h\033[?1049l"

static struct termios saved_terminal;
static volatile sig_atomic_t terminal_taken, keys_taken;

void top_terminal_give_back(void)
{
    if (keys_taken)
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &saved_terminal);
    if (terminal_taken)
        (void)!write(STDOUT_FILENO, LEAVE, sizeof LEAVE - 1);
    keys_taken = terminal_taken = 0;
}

static void on_crash(int number)
{
    top_terminal_give_back();
    (void)raise(number); // the handler is gone by now (SA_RESETHAND)
}

static void catch_crashes(void)
{
    static const int NUMBERS[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    const struct sigaction action = {.sa_handler = on_crash, .sa_flags = (int)SA_RESETHAND};
    for (size_t i = 0; i < ARRAY_SIZE(NUMBERS); i++)
        (void)sigaction(NUMBERS[i], &action, NULL);
}

void top_terminal_take(bool keys)
{
    catch_crashes();
    if (keys && tcgetattr(STDIN_FILENO, &saved_terminal) == 0) {
        struct termios raw = saved_terminal;
        raw.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
        raw.c_cc[VMIN] = 0;
        raw.c_cc[VTIME] = 0;
        keys_taken = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
    }
    terminal_taken = 1;
    (void)!write(STDOUT_FILENO, ENTER, sizeof ENTER - 1);
}
