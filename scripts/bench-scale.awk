# The exporter's growth beside the floor's: reads the tables of `barkeep lab -- exporter --scale` and those of
# `barkeep-floor scale`, and prints them side by side.
#
#   awk -f bench-scale.awk EXPORTER FLOOR
FNR == 1 { table = 0; who = NR == 1 ? "barkeep" : "floor" }
# The line above a table: what it is over, and three columns.
/, ns$/ {
    table++
    sub(/ +map, ns.*/, "")
    sub(/^ +/, "")
    head[who, table] = $0
    next
}
NF {
    row = $1
    # Of two words each: `38 each`, `below linear`.
    gsub(/ each/, "\034each")
    gsub(/ linear/, "\034linear")
    if (who == "barkeep") rows[table, ++count[table]] = row
    for (i = 2; i <= 4; i++) {
        text = i <= NF ? $i : "-"
        sub(/\034/, " ", text)
        value[who, table, row, i] = text
    }
}
function cell(row, i,    barkeep, floor, ratio) {
    barkeep = value["barkeep", t, row, i]
    floor = value["floor", t, row, i]
    if (floor == "") floor = "-"
    ratio = barkeep + 0 > 0 && floor + 0 > 0 ? sprintf("%.2f", barkeep / floor) : ""
    return sprintf(" %13s %11s %5s", barkeep, floor, ratio)
}
END {
    for (t = 1; t <= table; t++) {
        if (head["barkeep", t] != head["floor", t]) {
            print "the floor has no table over " head["barkeep", t]
            exit 1
        }
        printf "  %-20s %31s %31s %31s\n", head["barkeep", t], "map, ns", "revoke, ns", "restore, ns"
        printf "  %-20s", ""
        for (i = 2; i <= 4; i++) printf " %13s %11s %5s", "Barkeep", "floor", "ratio"
        printf "\n"
        for (r = 1; r <= count[t]; r++) printf "  %-20s%s%s%s\n", rows[t, r], cell(rows[t, r], 2), cell(rows[t, r], 3), cell(rows[t, r], 4)
        printf "\n"
    }
}
