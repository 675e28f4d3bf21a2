# The figures of scripts/bench: reads Barkeep's journal and the floor's output, prints a table
# of microseconds. Ends with 1 if Barkeep takes more than 1.10 times the floor.
#
#   awk -f bench-figures.awk JOURNAL FLOOR
function field(name,    at, rest) {
    at = index($0, "\"" name "\":")
    if (!at) return ""
    rest = substr($0, at + length(name) + 3)
    sub(/^"/, "", rest)
    sub(/[",}].*/, "", rest)
    return rest
}
function add(who, row, value) { figures[who, row, ++count[who, row]] = value / 1000 }
# Sorts the figures of a row in place.
function sort_row(who, row,    n, i, j, held) {
    n = count[who, row]
    for (i = 2; i <= n; i++) {
        held = figures[who, row, i]
        for (j = i - 1; j > 0 && figures[who, row, j] > held; j--) figures[who, row, j + 1] = figures[who, row, j]
        figures[who, row, j + 1] = held
    }
}
function median(who, row,    n) {
    n = count[who, row]
    if (n % 2) return figures[who, row, (n + 1) / 2]
    return (figures[who, row, n / 2] + figures[who, row, n / 2 + 1]) / 2
}
function told(who, row) {
    if (!count[who, row]) return "-"
    return sprintf("%.1f (%.1f–%.1f)", median(who, row), figures[who, row, 1], figures[who, row, count[who, row]])
}
function line(row, name,    barkeep, floor) {
    if (count["floor", row]) {
        barkeep = median("barkeep", row)
        floor = median("floor", row)
        printf "  %-40s %-26s %-26s %8.1f %7.3f\n", name, told("barkeep", row), told("floor", row), barkeep - floor, barkeep / floor
    } else {
        printf "  %-40s %-26s %-26s\n", name, told("barkeep", row), "-"
    }
}

# --- Barkeep's journal ----------------------------------------------------------------------
FNR == NR && FNR == 1 { lane = field("lane"); clock = field("clock") }
FNR == NR && field("trigger") == "flr" {
    kind = field("kind"); phase = field("phase"); step = field("step"); time = field("t_ns")
    if (phase == "begin") begun[step] = time
    # The slots go out before the trigger, which is no part of this.
    if (phase != "end" || kind == "slot_remove") next
    if (kind == "trigger") { start = time; steps = 0; delete seen; next }
    if (kind == "outage") {
        # The last one is the second window's.
        if (++seen["outage"] == 2) {
            add("barkeep", "whole", time - start)
            add("barkeep", "mapped", mapped - start)
            add("barkeep", "else", time - start - steps)
        }
        next
    }
    add("barkeep", kind (kind == "find_out" ? "" : ++seen[kind]), time - begun[step])
    steps += time - begun[step]
    if (kind == "p2p_map") mapped = time
    next
}
FNR == NR { next }

# --- the floor's output ---------------------------------------------------------------------
$1 == "whole" || $1 == "mapped" { add("floor", $1, $2) }
$1 == "parts" {
    add("floor", "find_out", $2 + $3)
    add("floor", "p2p_unmap1", $4); add("floor", "p2p_unmap2", $5)
    add("floor", "p2p_map1", $6); add("floor", "p2p_map2", $7)
    add("floor", "slot_add1", $8); add("floor", "slot_add2", $9)
}

END {
    for (key in count) {
        split(key, part, SUBSEP)
        sort_row(part[1], part[2])
    }
    n = count["barkeep", "whole"]
    if (!n || n != count["floor", "whole"]) {
        printf "bench: %d FLRs of Barkeep, %d of the floor: nothing to compare\n", n, count["floor", "whole"] > "/dev/stderr"
        exit 125
    }
    printf "lane %s, clock %s: from the FLR write's return on, µs; medians of %d FLRs (min–max)\n", lane, clock, n
    printf "  %-40s %-26s %-26s %8s %7s\n", "", "Barkeep", "floor", "more", "ratio"
    line("whole", "both mappings live again")
    line("mapped", "  until peers can reach both windows")
    line("find_out", "    read COMMAND and PMCSR")
    line("p2p_unmap1", "    unmap the 8 KiB window")
    line("p2p_unmap2", "    unmap the 16 MiB window")
    line("p2p_map1", "    map the 8 KiB window")
    line("p2p_map2", "    map the 16 MiB window")
    line("slot_add1", "  slot of the 8 KiB window (a wait)")
    line("slot_add2", "  slot of the 16 MiB window")
    line("else", "  everything between the steps")
    ratio = median("barkeep", "whole") / median("floor", "whole")
    printf "ratio %.3f, bound 1.100: %s\n", ratio, ratio <= 1.1 ? "held" : "EXCEEDED"
    exit ratio > 1.1
}
