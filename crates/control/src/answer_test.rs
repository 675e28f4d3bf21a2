use super::*;
use crate::listing::{Device, DeviceState, Window};
use crate::refusal::RefusalKind;

fn listing() -> Listing {
    let window = Window {
        bar: 2,
        offset: "0x0".into(),
        size: "0x1000000".into(),
        address: None,
        cpu: false,
        p2p: None,
    };
    let device = Device {
        device: "0000:00:03.0".into(),
        name: "nvme".into(),
        state: DeviceState::Resetting,
        windows: vec![window],
    };
    Listing { guest: GuestState::Running, devices: vec![device] }
}

#[test]
fn answers_are_read_as_they_are_written() {
    for (answer, line) in [
        (Answer { id: Some(7), outcome: Ok(Done::Reset) }, r#"{"id":7,"ok":{"did":"reset"}}"#),
        (
            Answer { id: None, outcome: Ok(Done::Pause { changed: false }) },
            r#"{"ok":{"did":"pause","changed":false}}"#,
        ),
        (
            Answer { id: None, outcome: Err(Refusal::failed("reset: ENOTTY", 25)) },
            r#"{"error":{"kind":"failed","message":"reset: ENOTTY","errno":25}}"#,
        ),
        (
            Answer { id: Some(1), outcome: Ok(Done::List(listing())) },
            concat!(
                r#"{"id":1,"ok":{"did":"list","guest":"running","devices":[{"device":"0000:00:03.0","#,
                r#""name":"nvme","state":"resetting","windows":[{"bar":2,"offset":"0x0","#,
                r#""size":"0x1000000","address":null,"cpu":false,"p2p":null}]}]}}"#
            ),
        ),
    ] {
        assert_eq!(answer.print(), format!("{line}\n"));
        assert_eq!(Answer::parse(line.as_bytes()), Ok(answer));
    }
}

#[test]
fn what_is_neither_done_nor_refused_is_no_answer() {
    for line in ["{}", r#"{"ok":{"did":"dance"}}"#, r#"{"id":1}"#, "", "[]"] {
        assert!(Answer::parse(line.as_bytes()).is_err(), "{line}");
    }
}

#[test]
fn a_greeting_says_its_version_and_another_one_is_told() {
    let greeting = Greeting { program: "barkeep 0.1.0".into() };
    assert_eq!(Greeting::parse(greeting.print().trim_end().as_bytes()), Ok(greeting));
    let newer = br#"{"barkeep_control":2,"program":"barkeep 9"}"#;
    assert_eq!(Greeting::parse(newer), Err(BadAnswer::Version("2".into())));
    assert!(matches!(Greeting::parse(b"SSH-2.0-OpenSSH"), Err(BadAnswer::Shape(_))));
    let full = Answer { id: None, outcome: Err(Refusal::new(RefusalKind::TooManyConnections, "no room")) };
    let told = Greeting::parse(full.print().trim_end().as_bytes());
    assert_eq!(told, Err(BadAnswer::Shape("no room".into())));
}

#[test]
fn people_read_a_listing_line_by_line() {
    let told = listing().to_string();
    let wanted =
        "guest running\n0000:00:03.0  resetting  nvme\n    BAR 2, 0x1000000 bytes at 0x0: CPU no, P2P ?";
    assert_eq!(told, wanted);
    let mut live = listing();
    live.devices[0].windows[0].address = Some("0xc0000000".into());
    assert_eq!(live.to_string(), format!("{wanted}, in the guest at 0xc0000000"));
}
