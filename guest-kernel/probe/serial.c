// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/* Lines for people, on the first serial port. */
#include "probe.h"

#define COM1 0x3F8
#define LINE_STATUS (COM1 + 5)
#define TRANSMIT_EMPTY 0x20
/* Nobody may be listening: the port is not worth waiting for longer. */
#define PATIENCE 10000

static spinlock guard;

static void put(char c)
{
    if (c == '\n')
        put('\r');
    for (unsigned i = 0; i < PATIENCE && !(inb(LINE_STATUS) & TRANSMIT_EMPTY); i++)
        ;
    outb(COM1, c);
}

static void put_string(const char *text)
{
    while (*text)
        put(*text++);
}

/* At least `width` digits. */
static void put_number(u64 number, unsigned base, unsigned width)
{
    char digits[20];
    unsigned count = 0;

    do {
        digits[count++] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number || count < width);
    while (count)
        put(digits[--count]);
}

static void put_function(u64 bdf)
{
    put_number(bdf >> 8, 16, 2);
    put(':');
    put_number((bdf >> 3) & 31, 16, 2);
    put('.');
    put_number(bdf & 7, 16, 1);
}

void say(const char *format, ...)
{
    __builtin_va_list values;

    __builtin_va_start(values, format);
    lock(&guard);
    for (; *format; format++) {
        if (*format != '%') {
            put(*format);
            continue;
        }
        switch (*++format) {
        case 's':
            put_string(__builtin_va_arg(values, const char *));
            break;
        case 'x':
            put_string("0x");
            put_number(__builtin_va_arg(values, u64), 16, 1);
            break;
        case 'd':
            put_number(__builtin_va_arg(values, u64), 10, 1);
            break;
        case 'b':
            put_function(__builtin_va_arg(values, u64));
            break;
        default: /* a mistake of ours: leave a mark rather than take the wrong argument */
            put('?');
        }
    }
    unlock(&guard);
    __builtin_va_end(values);
}
