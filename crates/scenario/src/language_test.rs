use super::*;
use proptest::prelude::*;

#[test]
fn the_shipped_scenarios_are_valid() {
    let main = Scenario::parse(crate::MAIN_JOB).unwrap();
    assert_eq!(main.devices(), ["nvme", "edu"]);
    assert_eq!(main.topology.as_deref(), Some("nvme-edu"));
    let hammer = Scenario::parse(crate::HAMMER).unwrap();
    assert_eq!(hammer.guest.vcpus, 5);
}

fn with_action(action: &str) -> String {
    format!("version = 1\nname = 'x'\n[[action]]\n{action}\n")
}

#[test]
fn mistakes_are_told_with_what_was_meant() {
    for (text, part) in [
        (with_action("do = 'flr'\ndevise = 'nvme'"), "did you mean `device`"),
        (with_action("do = 'frl'\ndevice = 'nvme'"), "did you mean `flr`"),
        (with_action("do = 'flr'"), "missing field `device`"),
        (with_action("do = 'sleep'\ntime = '5min'"), "`5min` is not a time"),
        (with_action("do = 'flr'\ndevice = 'nvme'\nvcpu = 3"), "is for vCPU 3, but the guest has 1"),
        (
            with_action("do = 'dma-start'\nengine='edu'\nto={device='nvme',bar=2}\npattern=1\nsize=8192"),
            "multiple of 4, 4096",
        ),
        ("version = 2\nname = 'x'\nfuture = 1\n".into(), "reads version 1"),
        ("version = 1\nname = 'x'\naction = []\ntopologie = 'y'\n".into(), "did you mean `topology`"),
        ("version = 1\nname = 'x'\naction = []\n[guest]\nvcpus = 65\n".into(), "1 to 64"),
        ("name = 'x'\n".into(), "missing field `version`"),
        (with_action("do = 'sleep'\ntime = '9ms..2ms'"), "`9ms..2ms` is not a range"),
        (
            with_action("do = 'verify'\nat = {device='a',bar=2,moved-from=true}\npattern=1"),
            "has not been moved",
        ),
        (with_action("do = 'attach'\nto = {device='a',bar=2,moved-from=true}\nexpect='ok'"), "no window"),
        (with_action("do = 'bar-move'\ndevice = 'a'\nbar = 6"), "number of the BAR"),
        (with_action("do = 'watched'"), "is for vCPU 1, but the guest has 1"),
        (with_action("do = 'unseen'\ndevice = 'a'\nwhat = 'unmap'"), "which `bar`?"),
        (with_action("do = 'unseen'\ndevice = 'a'\nwhat = 'flr'\nbar = 2"), "only `unmap`"),
        (with_action("do = 'importer'\nwhat = 'attach'\nengine = 'b'"), "`of` which window?"),
        (with_action("do = 'importer'\nwhat = 'attach'\nof = { device = 'a', bar = 2 }"), "which `engine`?"),
        (with_action("do = 'importer'\nwhat = 'map'\nhold = '1ms'"), "only `attach` takes"),
        (with_action("do = 'importer'\nwhat = 'dma'\nexpect = 'ok'"), "`expect` is one of lands, "),
        (with_action("do = 'importer'\nwhat = 'use'\nexpect = 'lands'"), "`expect` is ok, any, or an errno"),
        (with_action("do = 'importer'\nwhat = 'pinn'"), "did you mean `pin`"),
        (
            with_action(
                "do = 'importer'\nwhat = 'attach'\nof = { device = 'a', bar = 2 }\nengine = 'b'\nhold = '61s'",
            ),
            "60s at the most",
        ),
        (with_action("do = 'remove'\ndevice = 'a'\nrelease = 'never'"), "unknown variant `never`"),
    ] {
        let error = Scenario::parse(&text).unwrap_err().to_string();
        assert!(error.contains(part), "{text}\n---\n{error}");
    }
}

/// A storm with one actor and one ending, and what is added to their tables.
fn storm(table: &str, actor: &str, step: &str, ending: &str) -> String {
    let action = "action = [{ do = 'flr', device = 'a' }]";
    format!(
        "version = 1\nname = 'x'\naction = []\n[storm]\n{table}\n[[storm.actor]]\nname = 'driver'\n{actor}\n\
         [[storm.actor.move]]\n{action}\n{step}\n[[storm.ending]]\n{action}\n{ending}\n"
    )
}

#[test]
fn a_storm_that_cannot_be_is_told_with_what_is_wrong() {
    let right = storm("resets = 1", "", "", "");
    assert_eq!(Scenario::parse(&right).unwrap().devices(), ["a"]);
    let without = |part: &str| right[..right.find(part).unwrap()].to_owned();
    for (text, part) in [
        (storm("resets = 0", "", "", ""), "`resets = 0`; 1 to 100000"),
        (storm("resets = 100001", "", "", ""), "1 to 100000"),
        (storm("reset = 1", "", "", ""), "did you mean `resets`"),
        (storm("resets = 1", "wieght = 1", "", ""), "did you mean `weight`"),
        (storm("resets = 1", "weight = 0", "", ""), "the weights of the storm's actors sum to zero"),
        (storm("resets = 1", "", "weight = 0", ""), "the weights of the moves of `driver` sum to zero"),
        (storm("resets = 1", "", "", "weight = 0"), "the weights of the storm's endings sum to zero"),
        (storm("resets = 1", "weight = -1", "", ""), "invalid value"),
        (storm("resets = 1", "", "", "within = 'soon'"), "`soon` is not a time"),
        (storm("resets = 1", "", "", "wihtin = '1s'"), "did you mean `within`"),
        (
            storm("resets = 100000", "", "", "").replace("[{", "[{ do = 'suspect', device = 'a' }, {"),
            "1000000",
        ),
        (right.replace("'flr'", "'decode-on'"), "no move of the storm revokes anything"),
        (right.replace("device = 'a'", "device = 'a', vcpu = 1"), "but the guest has 1"),
        (without("[[storm.actor]]"), "without a `[[storm.actor]]`"),
        (without("[[storm.actor.move]]"), "`driver` has no `[[storm.actor.move]]`"),
        (without("[[storm.ending]]"), "without a `[[storm.ending]]`"),
        (storm("resets = 1", "", "[[storm.actor]]\nname = 'driver'", ""), "two actors are called `driver`"),
        (storm("resets = 1", "", "[[storm.actor.move]]\naction = []", ""), "a move of `driver` is without"),
        (storm("resets = 1", "", "", "[perturb]\none-in = 0"), "1 is every step"),
        (storm("resets = 1", "", "", "[perturb]\nnoise = '0ms'"), "`noise` of no time"),
        (storm("resets = 1", "", "", "[perturb]\npause = '1ms'"), "did you mean `pauses`"),
    ] {
        let error = Scenario::parse(&text).unwrap_err().to_string();
        assert!(error.contains(part), "{text}\n---\n{error}");
    }
    let moved = "{ do = 'verify', at = { device = 'a', bar = 2, moved-from = true }, pattern = 0 }";
    let moved = storm("resets = 1", "", "", "").replacen("[{", &format!("[{moved}, {{"), 1);
    assert!(Scenario::parse(&moved).unwrap_err().to_string().contains("has not been moved before"));
}

#[test]
fn a_storm_is_not_carried_out_itself() {
    let storm = Scenario::parse(&storm("resets = 1", "", "", "")).unwrap();
    let error = storm.plain().unwrap_err().to_string();
    assert!(error.contains("`x` is a storm") && error.contains("`barkeep storm FILE`"), "{error}");
    assert!(Scenario::parse(crate::MAIN_JOB).unwrap().plain().is_ok());
}

#[test]
fn times_are_drawn_out_as_the_runner_draws_them() {
    let text = "do = 'sleep'\ntime = '1ms..9ms'\n[[action]]\ndo = 'repeat'\ntimes = 2\n\
                [[action.action]]\ndo = 'sleep'\ntime = '1ms..9ms'\n\
                [[action]]\ndo = 'repeat'\ntimes = 2\n[[action.action]]\ndo = 'flr'\ndevice = 'a'";
    let scenario = Scenario::parse(&with_action(text)).unwrap();
    let drawn = scenario.drawn_out(7, 10).unwrap();
    let mut draw = crate::draw::Draw::new(7);
    let by_the_runner = [(); 3].map(|()| scenario.actions[0].drawn(&mut draw).into_owned());
    assert_eq!(drawn.actions[..3], by_the_runner);
    assert_eq!(drawn.actions[3..], scenario.actions[2..]);
    assert_eq!(scenario.drawn_out(7, 3), None);
}

#[test]
fn devices_of_the_vm_and_of_the_administrator_are_told_apart() {
    let text = [
        "do = 'sysfs-reset'\ndevice = 'vf'",
        "do = 'sysfs-reset'\ndevice = 'pf'",
        "do = 'reset-methods'\ndevice = 'pf'\npresent = false",
        "do = 'dma'\nengine = 'edu'\nto = { device = 'vf', bar = 0 }\nexpect = 'lost'",
        "do = 'remove'\ndevice = 'vf'\nrelease = 'later'\nfunctions-of = 'pf'",
    ]
    .map(|action| format!("[[action]]\n{action}\n"))
    .concat();
    let scenario = Scenario::parse(&format!("version = 1\nname = 'x'\n{text}")).unwrap();
    assert_eq!(scenario.devices(), ["vf", "edu"]);
    assert_eq!(scenario.others(), ["pf"]);
    assert!(scenario.importers().is_empty());
    assert_eq!(scenario.engines(), ["edu"]);
    let scenario = Scenario::parse(crate::IMPORTER).unwrap();
    assert_eq!((scenario.devices(), scenario.importers()), (vec!["nvme", "edu"], vec!["importer"]));
    assert_eq!((scenario.others(), scenario.second_engines()), (vec!["importer"], vec![]));
}

#[test]
fn a_moved_bar_may_be_named_where_it_was() {
    let moved = "do = 'bar-move'\ndevice = 'a'\nbar = 2\n[[action]]\n\
                 do = 'verify'\nat = { device = 'a', bar = 2, moved-from = true }\npattern = 0\nexpect = 'ones'";
    let scenario = Scenario::parse(&with_action(moved)).unwrap();
    assert_eq!(scenario.actions[1].to_string(), "verify a:2+0x0 where it was reads all ones");
}

#[test]
fn a_random_time_is_told_as_it_was_drawn_and_the_same_for_the_same_seed() {
    let text = with_action("do = 'sleep'\ntime = '10ms..150ms'");
    let [action] = &Scenario::parse(&text).unwrap().actions[..] else { panic!("there is one") };
    let times = |seed| {
        let mut draw = crate::draw::Draw::new(seed);
        [(); 3].map(|()| action.drawn(&mut draw).to_string())
    };
    assert_eq!(times(1), times(1));
    assert_ne!(times(1), times(2));
    let first = &times(1)[0];
    let drawn: u64 = first.trim_start_matches("sleep ").trim_end_matches(" us").parse().unwrap();
    assert!((10_000..=150_000).contains(&drawn), "{first}");
}

#[test]
fn the_shipped_scenarios_are_printed_as_they_are_read() {
    for (name, text) in crate::SHIPPED {
        let scenario = Scenario::parse(text).unwrap();
        let printed = scenario.to_toml().unwrap();
        assert_eq!(Scenario::parse(&printed).unwrap(), scenario, "{name}:\n{printed}");
    }
    let one = with_action("do = 'fill'\nto = { device = 'a\"b', bar = 2 }\npattern = 1");
    let printed = Scenario::parse(&one).unwrap().to_toml().unwrap();
    let line = "[[action]]\ndo = \"fill\"\npattern = 1\nsize = 4096\nto = { bar = 2, device = 'a\"b' }\n";
    assert!(printed.ends_with(line), "{printed}");
}

#[test]
fn a_scenario_cannot_ask_for_endless_work() {
    let text = with_action(
        "do = 'repeat'\ntimes = 18446744073709551615\n[[action.action]]\ndo = 'repeat'\ntimes = 3\n[[action.action.action]]\ndo = 'close'\ndevice='x'",
    );
    assert!(Scenario::parse(&text).is_err());
    let text = with_action("do = 'repeat'\ntimes = 1000001\n[[action.action]]\ndo = 'close'\ndevice = 'x'");
    assert!(Scenario::parse(&text).unwrap_err().to_string().contains("more than 1000000 actions"));
}

#[test]
fn a_second_process_is_told_what_can_be() {
    let of = "of = { device = 'nvme', bar = 2, offset = 4096 }";
    let told = |lines: &str| Scenario::parse(&with_action(lines)).map(drop).map_err(|e| e.to_string());
    let good = [
        &format!("do = 'second'\nwhat = 'start'\n{of}\nengine = 'spare'"),
        "do = 'second'\nwhat = 'import'\nexpect = 'ENODEV'",
        "do = 'second'\nwhat = 'dma'\nexpect = 'faults'",
        "do = 'second'\nwhat = 'kill'\nexpect = 'any'",
        "do = 'meanwhile'\naction = { do = 'second', what = 'kill' }",
        "do = 'meanwhile'\nafter = '5ms'\naction = { do = 'kill-vmm' }",
        "do = 'hold'\ndevice = 'nvme'\nwhat = 'reopened'\nbar = 2\nexpect = 'ENXIO'",
        "do = 'let-go'\ndevice = 'nvme'\nwhat = 'inherited'",
    ];
    for lines in good {
        assert_eq!(told(lines), Ok(()), "{lines}");
    }
    for (lines, word) in [
        ("do = 'second'\nwhat = 'start'".to_owned(), "which window"),
        (format!("do = 'second'\nwhat = 'import'\n{of}"), "only `start` takes an `of`"),
        ("do = 'second'\nwhat = 'kill'\nengine = 'spare'".to_owned(), "only `start` takes an `engine`"),
        ("do = 'second'\nwhat = 'dma'".to_owned(), "lands, faults, lost, either"),
        ("do = 'second'\nwhat = 'import'\nexpect = 'lands'".to_owned(), "an errno"),
        (format!("do = 'second'\nwhat = 'start'\n{}", of.replace("4096", "4098")), "a multiple of 4"),
        (format!("do = 'meanwhile'\naction = {{ do = 'second', what = 'start', {of} }}"), "meanwhile"),
        ("do = 'hold'\ndevice = 'nvme'\nwhat = 'kvm'\nbar = 2".to_owned(), "no dma-buf"),
        ("do = 'let-go'\ndevice = 'nvme'\noffset = 4096".to_owned(), "is of a `bar`"),
    ] {
        let error = told(&lines).unwrap_err();
        assert!(error.contains(word), "{lines}: {error}");
    }
}

#[test]
fn the_engine_of_a_second_process_is_not_the_vms() {
    let of = "of = { device = 'nvme', bar = 2 }";
    let text = with_action(&format!("do = 'second'\nwhat = 'start'\n{of}\nengine = 'spare'"));
    let scenario = Scenario::parse(&text).unwrap();
    assert!(scenario.second_engines().contains(&"spare") && !scenario.devices().contains(&"spare"));
    assert!(!scenario.kills_vmm());
    assert!(Scenario::parse(&with_action("do = 'kill-vmm'")).unwrap().kills_vmm());
}

#[path = "any_scenario.rs"]
mod any;

proptest! {
    #[test]
    fn what_is_printed_reads_as_the_same(scenario in any::scenario()) {
        let printed = scenario.to_toml().unwrap();
        match Scenario::parse(&printed) {
            Ok(read) => prop_assert_eq!(read, scenario, "{}", printed),
            Err(error) => prop_assert!(false, "{}\n---\n{}", error, printed),
        }
    }

    #[test]
    fn no_text_panics(text in ".{0,300}") {
        let _ = Scenario::parse(&text);
    }

    #[test]
    fn no_mutilation_of_a_real_one_panics(at in 0usize..4000, with in ".{0,8}") {
        let mut text = crate::MAIN_JOB.to_owned();
        let at = (at..text.len()).find(|&n| text.is_char_boundary(n)).unwrap_or(0);
        text.insert_str(at, &with);
        let _ = Scenario::parse(&text);
        let _ = Scenario::parse(&text[..at]);
    }
}

#[test]
fn only_what_needs_no_vcpu_can_be_done_meanwhile() {
    let meanwhile =
        |action: &str| Scenario::parse(&with_action(&format!("do = 'meanwhile'\naction = {action}")));
    for possible in [
        "{ do = 'close', device = 'a' }",
        "{ do = 'attach', to = { device = 'a', bar = 2 }, expect = 'any' }",
        "{ do = 'unseen', device = 'a', what = 'flr', expect = 'any' }",
        "{ do = 'let-go', device = 'a' }",
    ] {
        let scenario = meanwhile(possible).unwrap();
        assert_eq!(scenario.devices(), ["a"], "{possible}");
    }
    for (impossible, why) in [
        ("{ do = 'flr', device = 'a' }", "`FLR a` cannot be done meanwhile"),
        ("{ do = 'join' }", "cannot be done meanwhile"),
        ("{ do = 'meanwhile', action = { do = 'join' } }", "cannot be done meanwhile"),
        (
            "{ do = 'attach', to = { device = 'a', bar = 2 }, background = true, expect = 'any' }",
            "in the background already",
        ),
        ("{ do = 'unseen', device = 'a', what = 'unmap' }", "which `bar`?"),
    ] {
        let error = meanwhile(impossible).unwrap_err().to_string();
        assert!(error.contains(why), "{impossible}: {error}");
    }
}
