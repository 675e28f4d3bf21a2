/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * From the PVH entry (32-bit protected mode, paging off, %ebx = hvm_start_info) to cpu_main()
 * in 64-bit mode. Application processors join at boot_cpu.
 */
#include "layout.h"
#include "mailbox.h"

#define PAGE_PRESENT_WRITABLE 0x03
#define PAGE_LARGE 0x80
#define PAGE_UNCACHED 0x18
#define LARGE_PAGE 0x200000

        .section .note.Xen, "a", @note
        .balign 4
        .long 4, 8, 18                  /* sizes of name and value; XEN_ELFNOTE_PHYS32_ENTRY */
        .asciz "Xen"
        .quad pvh_entry

        .text
        .code32
        .globl pvh_entry
pvh_entry:
        cli
        cld
        movl $bss_start, %edi
        movl $bss_end, %ecx
        subl %edi, %ecx
        shrl $2, %ecx
        xorl %eax, %eax
        rep stosl
        movl %ebx, start_info

        /* 0 to 2 GiB: memory. */
        movl $page_directories, %edi
        movl $(PAGE_LARGE | PAGE_PRESENT_WRITABLE), %eax
        movl $1024, %ecx
1:      movl %eax, (%edi)
        movl $0, 4(%edi)
        addl $LARGE_PAGE, %eax
        addl $8, %edi
        loop 1b

        /* 2 to 4 GiB: devices. */
        addl $PAGE_UNCACHED, %eax
        movl $1024, %ecx
1:      movl %eax, (%edi)
        movl $0, 4(%edi)
        addl $LARGE_PAGE, %eax
        addl $8, %edi
        loop 1b

        movl $page_directories + PAGE_PRESENT_WRITABLE, %eax
        movl $page_pointers, %edi
        movl $4, %ecx
1:      movl %eax, (%edi)
        addl $4096, %eax
        addl $8, %edi
        loop 1b
        movl $page_pointers + PAGE_PRESENT_WRITABLE, page_root

        /* Every CPU comes this way, one at a time, `starting_cpu` saying which it is. */
        .globl boot_cpu
boot_cpu:
        lgdtl gdt_pointer
        movl $0x20, %eax                /* CR4.PAE */
        movl %eax, %cr4
        movl $page_root, %eax
        movl %eax, %cr3
        movl $0xC0000080, %ecx          /* EFER.LME */
        rdmsr
        orl $0x100, %eax
        wrmsr
        movl $0x80000031, %eax          /* CR0: PG, NE, ET, PE; caches on */
        movl %eax, %cr0
        ljmpl $CODE64, $long_mode

        .code64
long_mode:
        movl $DATA, %eax
        movl %eax, %ds
        movl %eax, %es
        movl %eax, %ss
        xorl %eax, %eax
        movl %eax, %fs
        movl %eax, %gs
        movl starting_cpu, %edi
        leal 1(%rdi), %eax
        imull $STACK_BYTES, %eax, %eax
        leal stacks(%rax), %esp
        xorl %ebp, %ebp
        call cpu_main
        ud2

        .section .rodata
        .balign 8
        .globl gdt
gdt:
        .quad 0
        .quad 0x00CF9B000000FFFF        /* CODE32 */
        .quad 0x00CF93000000FFFF        /* DATA */
        .quad 0x00AF9B000000FFFF        /* CODE64 */
gdt_end:
gdt_pointer:
        .word gdt_end - gdt - 1
        .long gdt

        .bss
        .balign 4096
        .globl page_root
page_root:
        .skip 4096
page_pointers:
        .skip 4096
        .globl start_info, starting_cpu
start_info:
        .skip 4
starting_cpu:
        .skip 4

        .section .noinit, "aw", @nobits
        .balign 4096
page_directories:
        .skip 4 * 4096
stacks:
        .skip MAX_CPUS * STACK_BYTES
