/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Where an application processor wakes up: real mode, at TRAMPOLINE, to which smp.c copies
 * this. It goes to 32-bit protected mode and then the way of the first CPU.
 */
#include "layout.h"

#define AT(label) (TRAMPOLINE + label - trampoline)

        .section .rodata
        .code16
        .globl trampoline, trampoline_end
trampoline:
        cli
        cld
        xorw %ax, %ax
        movw %ax, %ds
        lgdtl AT(pointer)
        movl $0x11, %eax                /* CR0: ET, PE */
        movl %eax, %cr0
        ljmpl $CODE32, $AT(protected)

        .code32
protected:
        movl $DATA, %eax
        movl %eax, %ds
        movl %eax, %es
        movl %eax, %ss
        movl $boot_cpu, %eax
        jmp *%eax

        /* The GDT itself stays in the image: only its pointer must be near. */
        .balign 4
pointer:
        .word 4 * 8 - 1
        .long gdt
trampoline_end:
