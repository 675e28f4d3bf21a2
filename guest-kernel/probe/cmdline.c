// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/* The command line: words separated by spaces, some of them key=value. */
#include "probe.h"

static char line[1024];

/* Kept, since loaders put it anywhere below, mailboxes included. */
void cmdline_save(const char *text)
{
    for (unsigned i = 0; text && text[i] && i < sizeof(line) - 1; i++)
        line[i] = text[i];
}

/* How many characters of `text` match the whole of `word`; 0 if they do not. */
static unsigned starts_with(const char *text, const char *word)
{
    unsigned i = 0;

    while (word[i]) {
        if (text[i] != word[i])
            return 0;
        i++;
    }
    return i;
}

static int ends_word(char c)
{
    return c == 0 || c == ' ' || c == ',' || c == '\n';
}

int word_equals(const char *text, const char *word)
{
    unsigned length = starts_with(text, word);
    return length && ends_word(text[length]);
}

/* The text after `key`, where `key` begins a word. */
static const char *find(const char *key)
{
    for (const char *at = line; *at; at++) {
        unsigned length = starts_with(at, key);
        if (length && (at == line || at[-1] == ' '))
            return at + length;
    }
    return 0;
}

int cmdline_has(const char *word)
{
    const char *after = find(word);
    return after && ends_word(*after);
}

const char *cmdline_value(const char *key)
{
    const char *after = find(key);
    return after && *after == '=' ? after + 1 : 0;
}

static unsigned digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return 99;
}

/* Returns what follows the number, or 0 if there is none. */
const char *parse_number(const char *text, unsigned base, u64 *number)
{
    const char *start;

    if (base != 16 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        base = 16;
        text += 2;
    }
    start = text;
    for (*number = 0; digit_of(*text) < base; text++)
        *number = *number * base + digit_of(*text);
    return text == start ? 0 : text;
}

u64 cmdline_number(const char *key, u64 otherwise)
{
    const char *text = cmdline_value(key);
    u64 number;

    return text && parse_number(text, 10, &number) ? number : otherwise;
}
