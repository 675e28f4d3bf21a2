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
    ] {
        let error = Scenario::parse(&text).unwrap_err().to_string();
        assert!(error.contains(part), "{text}\n---\n{error}");
    }
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

proptest! {
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
