# What tracing the kernel costs, for scripts/bench: reads the journals of the same FLRs without and with it, prints a table of
# milliseconds of each journal's clock.
#
#   awk -f bench-trace.awk WITHOUT WITH
function field(name,    at, rest) {
    at = index($0, "\"" name "\":")
    if (!at) return ""
    rest = substr($0, at + length(name) + 3)
    sub(/^"/, "", rest)
    sub(/[",}].*/, "", rest)
    return rest
}
# The median, the least and the greatest of what was added.
function told(who, what,    n, i, j, held) {
    n = count[who, what]
    if (!n) return "-"
    for (i = 2; i <= n; i++) {
        held = figures[who, what, i]
        for (j = i - 1; j > 0 && figures[who, what, j] > held; j--) figures[who, what, j + 1] = figures[who, what, j]
        figures[who, what, j + 1] = held
    }
    middle[who, what] = n % 2 ? figures[who, what, (n + 1) / 2] : (figures[who, what, n / 2] + figures[who, what, n / 2 + 1]) / 2
    return sprintf("%.3f (%.3f-%.3f)", middle[who, what], figures[who, what, 1], figures[who, what, n])
}
function add(who, what, value) { figures[who, what, ++count[who, what]] = value }
FNR == 1 { who = who == "" ? "without" : "with"; lane = field("lane"); clock = field("clock"); away = 0; next }
{ events++ }
field("kind") == "kernel_step" && field("phase") == "begin" { steps++ }
field("trigger") == "flr" {
    kind = field("kind"); phase = field("phase"); time = field("t_ns")
    if (kind == "outage" && phase == "begin" && !away++) { begun = time; events = steps = 0 }
    if (kind == "trigger" && phase == "begin") through = time
    if (kind == "trigger" && phase == "end") { add(who, "through", (time - through) / 1e6); over = time }
    if (kind == "p2p_map" && phase == "end" && ++mapped == 2) { add(who, "mapped", (time - over) / 1e6); mapped = 0 }
    if (kind == "outage" && phase == "end" && ++back == 2) {
        add(who, "reset", (time - begun) / 1e6)
        add(who, "events", events)
        add(who, "steps", steps)
        away = back = 0
    }
}
END {
    if (!count["without", "reset"] || count["without", "reset"] != count["with", "reset"]) {
        print "bench: the FLRs of the two journals are not the same number" > "/dev/stderr"
        exit 125
    }
    printf "lane %s, clock %s: one reset, ms; medians of %d FLRs (min-max)\n", lane, clock, count["with", "reset"]
    printf "  %-44s %-28s %-28s %8s\n", "", "without kernel trace", "with kernel trace", "ratio"
    line("reset", "from the first slot out to the last one back")
    line("through", "  the config write alone")
    line("mapped", "  from there until peers can reach both windows")
    line("events", "events of the journal meanwhile")
    line("steps", "functions of the kernel meanwhile")
}
function line(what, name,    without, with_it) {
    without = told("without", what)
    with_it = told("with", what)
    ratio = middle["without", what] ? sprintf("%.4f", middle["with", what] / middle["without", what]) : "-"
    printf "  %-44s %-28s %-28s %8s\n", name, without, with_it, ratio
}
