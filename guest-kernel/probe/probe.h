/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What the files of the probe offer each other. */
#ifndef PROBE_H
#define PROBE_H

#include "layout.h"
#include "mailbox.h"

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;

#define NS_PER_S 1000000000UL
#define NS_PER_MS 1000000UL
#define NS_PER_US 1000UL

struct cpu {
    u64 index;
    volatile u64 ticks; /* timer interrupts taken */
    u64 recover;        /* the stack pointer an exception returns to; 0: none */
    volatile u64 up;
};

extern struct cpu cpus[MAX_CPUS];

/* main.c */
void cpu_main(u64 index);
void out_of_order(void) __attribute__((noreturn)); /* stop this CPU for good */

/* traps.S, traps.c */
void traps_load(void);
/* Runs work(argument); returns non-zero if an exception cut it short. */
long guarded_call(void (*work)(void *), void *argument);
void guarded_recover(void) __attribute__((noreturn));

/* cmdline.c */
void cmdline_save(const char *text);
int cmdline_has(const char *word);
const char *cmdline_value(const char *key); /* the text after "key=", or 0 */
u64 cmdline_number(const char *key, u64 otherwise);
const char *parse_number(const char *text, unsigned base, u64 *number);
int word_equals(const char *text, const char *word);

/* paging.c */
u64 paging_cover(u64 address, u64 length); /* a STATUS_ */

/* apic.c, calibrate.c */
extern u64 apic_hz;
void apic_enable(void);
void apic_start_countdown(u32 ticks);
u32 apic_countdown(void);
void apic_send(u32 to, u32 message);
void sleep_ns(u64 ns);
void calibrate(void);

/* smp.c */
void smp_start(u64 wanted);
u64 smp_up(void);

/* serial.c: %s, %x (u64), %d (u64), %b (u64, as bus:device.function) */
void say(const char *format, ...);

/* edu.c */
#define EDU_BUFFER 0x40000
#define EDU_BUFFER_BYTES 4096
void edu_start(u64 bar, u64 source, u64 destination, u64 length, u64 direction);
u64 edu_busy(u64 bar, u64 *busy);              /* a STATUS_ */
u64 edu_wait(u64 bar, u64 max_ns, u64 *looks); /* a STATUS_ */

/* memory.c: each takes the request's arguments and the place for results; a STATUS_ */
u64 memory_read(const u64 *args, u64 *results);
u64 memory_write(const u64 *args);
u64 memory_fill(const u64 *args);
u64 memory_verify(const u64 *args, u64 *results);
u64 memory_copy(const u64 *args);
/* One access of 1, 2, 4 or 8 bytes, aligned or not. */
u64 read_any(u64 address, u64 width);
void write_any(u64 address, u64 width, u64 value);

/* hammer.c, watch.c, scribble.c: as those of memory.c */
u64 hammer(const u64 *args, u64 *results);
u64 scribble(const u64 *args, u64 *results);
u64 watch(const u64 *args, u64 *results);

/* served.c, commands.c */
extern int served;
u64 carry_out(u64 opcode, const u64 *args, u64 *results);
void served_main(void) __attribute__((noreturn));
void served_report_exception(const u64 *details, int fatal);

/* alone.c */
void alone_main(void) __attribute__((noreturn));
void alone_give_up(const char *why) __attribute__((noreturn));

/* power.c */
void power_off(int failed) __attribute__((noreturn));

static inline void outb(u16 port, u8 value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void outw(u16 port, u16 value)
{
    __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void outl(u16 port, u32 value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline u8 inb(u16 port)
{
    u8 value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static inline u16 inw(u16 port)
{
    u16 value;
    __asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static inline u32 inl(u16 port)
{
    u32 value;
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

/*
 * One instruction per access, whatever the compiler thinks of it: a device must see the
 * access that was asked for.
 */
static inline u32 read32(u64 address)
{
    u32 value;
    __asm__ volatile("movl (%1), %0" : "=r"(value) : "r"(address) : "memory");
    return value;
}

static inline void write32(u64 address, u32 value)
{
    __asm__ volatile("movl %0, (%1)" : : "r"(value), "r"(address) : "memory");
}

static inline u64 read64(u64 address)
{
    u64 value;
    __asm__ volatile("movq (%1), %0" : "=r"(value) : "r"(address) : "memory");
    return value;
}

static inline void write64(u64 address, u64 value)
{
    __asm__ volatile("movq %0, (%1)" : : "r"(value), "r"(address) : "memory");
}

/* A full barrier without SSE2's mfence, which an instruction emulator may lack. */
static inline void barrier(void)
{
    __asm__ volatile("lock orl $0, (%%rsp)" : : : "memory", "cc");
}

static inline void write_msr(u32 msr, u64 value)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}

static inline u64 read_cr2(void)
{
    u64 value;
    __asm__ volatile("movq %%cr2, %0" : "=r"(value));
    return value;
}

static inline struct cpu *this_cpu(void)
{
    u64 index;
    __asm__ volatile("movq %%gs:%c1, %0" : "=r"(index) : "i"(CPU_INDEX));
    return &cpus[index];
}

typedef volatile u32 spinlock;

static inline void lock(spinlock *word)
{
    while (__atomic_exchange_n(word, 1, __ATOMIC_ACQUIRE))
        __asm__ volatile("pause");
}

static inline void unlock(spinlock *word)
{
    __atomic_store_n(word, 0, __ATOMIC_RELEASE);
}

#endif
