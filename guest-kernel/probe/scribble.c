// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * Random accesses to a list of places: what a guest does that means harm, or has lost its mind. All
 * widths and alignments; where a place is config space, now and then by the ports instead.
 */
#include "probe.h"

#define CONFIG_ADDRESS 0xCF8
#define CONFIG_DATA 0xCFC
#define CONFIG_ENABLE 0x80000000UL
#define ECAM_SIZE 0x10000000UL
/* The farthest start of an access from its place, and the widest access, end below 4 GiB. */
#define LAST_PLACE ((4UL << 30) - 16)

/* What is drawn of an access, from the lowest bit on. */
#define WIDTH(how) (1UL << ((how) & 3))
#define WRITES(how) ((how) >> 2 & 1)
#define ODD_START(how) (((how) >> 6 & 1) * ((how) >> 3 & 7))
#define BY_PORT(how) (((how) >> 7 & 15) == 0)
#define SORT(how) ((how) >> 11 & 3)
#define ODD_PORT(how) (((how) >> 13 & 3) == 0)
#define PORT(how) ((how) >> 16 & 7)
#define FLIPPED(how) ((how) >> 24 & 63)
#define ENTRY(how) ((how) >> 32)

/* What is written: anything, nothing but ones or zeros, what the table has, what is there but a bit. */
enum { SORT_DRAWN, SORT_PLAIN, SORT_KNOWN, SORT_FLIPPED };

struct place {
    u64 address, known;
};

/* SplitMix64, as crates/scenario/src/draw.rs has it. */
static u64 draw(u64 *state)
{
    u64 word = *state += 0x9E3779B97F4A7C15UL;

    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9UL;
    word = (word ^ word >> 27) * 0x94D049BB133111EBUL;
    return word ^ word >> 31;
}

static u64 cover_all(u64 table, u64 entries, u64 stop_word)
{
    u64 status;

    if (!table || table % 8 || !entries || entries > SCRIBBLE_MOST_PLACES || stop_word % 8)
        return STATUS_BAD_ARGUMENT;
    status = paging_cover(table, sizeof(struct place) * entries);
    if (!status)
        status = paging_cover(stop_word, 8);
    /* All of them where boot.S has mapped memory: what config space is in, and registers are. */
    for (u64 entry = 0; entry < entries && !status; entry++)
        if (read64(table + sizeof(struct place) * entry) > LAST_PLACE)
            status = STATUS_BAD_ARGUMENT;
    return status;
}

static void count_read(u64 value, u64 width, u64 *results)
{
    u64 ones = ~0UL >> (64 - 8 * width);

    results[SCRIBBLE_READS]++;
    results[SCRIBBLE_ONES] += (value & ones) == ones;
}

static u64 port_in(u16 port, u64 width)
{
    return width == 1 ? inb(port) : width == 2 ? inw(port) : inl(port);
}

static void port_out(u16 port, u64 width, u64 value)
{
    if (width == 1)
        outb(port, value);
    else if (width == 2)
        outw(port, value);
    else
        outl(port, value);
}

/* Mechanism #1 as it is meant, or the same ports in any other way. */
static void by_port(u64 register_at, u64 how, u64 value, u64 *results)
{
    u64 width = WIDTH(how) == 8 ? 4 : WIDTH(how);
    u16 port = CONFIG_DATA + (PORT(how) & 3);

    results[SCRIBBLE_PORTS]++;
    if (ODD_PORT(how))
        port = CONFIG_ADDRESS + PORT(how);
    else
        outl(CONFIG_ADDRESS, CONFIG_ENABLE | register_at >> 12 << 8 | (register_at & 0xFC));
    if (WRITES(how)) {
        results[SCRIBBLE_WRITES]++;
        port_out(port, width, value);
    } else {
        count_read(port_in(port, width), width, results);
    }
}

static void by_memory(u64 address, u64 how, u64 value, u64 *results)
{
    u64 width = WIDTH(how);

    if (!WRITES(how)) {
        count_read(read_any(address, width), width, results);
        return;
    }
    if (SORT(how) == SORT_FLIPPED) {
        value = read_any(address, width);
        count_read(value, width, results);
        value ^= 1UL << FLIPPED(how) % (8 * width);
    }
    results[SCRIBBLE_WRITES]++;
    write_any(address, width, value);
}

u64 scribble(const u64 *args, u64 *results)
{
    u64 table = args[0], entries = args[1], accesses = args[2], state = args[3];
    u64 ecam = args[4], stop_word = args[5];
    u64 status = cover_all(table, entries, stop_word);

    if (status)
        return status;
    for (u64 i = 0; i < accesses; i++) {
        u64 how, value, entry, place;

        if (stop_word && read64(stop_word)) {
            results[SCRIBBLE_STOPPED] = 1;
            break;
        }
        how = draw(&state);
        value = draw(&state);
        entry = table + sizeof(struct place) * (ENTRY(how) % entries);
        place = read64(entry);
        if (SORT(how) == SORT_KNOWN)
            value = read64(entry + 8);
        else if (SORT(how) == SORT_PLAIN)
            value = value & 1 ? ~0UL : 0;
        if (BY_PORT(how) && ecam && place - ecam < ECAM_SIZE)
            by_port(place - ecam, how, value, results);
        else
            by_memory(place + ODD_START(how), how, value, results);
        results[SCRIBBLE_ACCESSES]++;
    }
    return STATUS_OK;
}
