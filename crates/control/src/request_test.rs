use super::*;

fn refused(line: &str) -> (Option<u64>, Refusal) {
    Request::parse(line.as_bytes()).expect_err(line)
}

#[test]
fn each_command_is_read_as_it_is_written() {
    let device = "0000:04:00.1".parse().unwrap();
    for (line, id, command) in [
        (r#"{"do":"list"}"#, None, Command::List),
        (r#"{"do":"reset","device":"0000:04:00.1","id":0}"#, Some(0), Command::Reset(device)),
        (r#" {"device":"04:00.1", "do":"remove"} "#, None, Command::Remove(device)),
        (r#"{"barkeep_control":1,"do":"pause","id":9007199254740991}"#, Some(ID_END - 1), Command::Pause),
        (r#"{"do":"resume"}"#, None, Command::Resume),
        ("{\"do\":\"quit\"}\r", None, Command::Quit),
    ] {
        let request = Request { id, command };
        assert_eq!(Request::parse(line.as_bytes()), Ok(request), "{line}");
        let printed = request.print();
        assert_eq!(Request::parse(printed.trim_end().as_bytes()), Ok(request), "{printed}");
    }
}

#[test]
fn nonsense_is_told_by_its_sort() {
    use RefusalKind::*;
    let deep = format!("{}{}", "[".repeat(2000), "]".repeat(2000));
    let deep_inside = format!("{{\"do\":{deep}}}");
    for (line, kind, told) in [
        ("", NotJson, "EOF"),
        ("list", NotJson, "expected value"),
        ("{\"do\":\"list\"}\0", NotJson, "trailing characters"),
        ("{\"do\":\"li\0st\"}", NotJson, "control character"),
        (r#"{"do":"list"}{"do":"list"}"#, NotJson, "trailing characters"),
        (r#"{"do":"list""#, NotJson, "EOF"),
        (&deep_inside, NotJson, "recursion"),
        ("[]", NotARequest, "a JSON object"),
        ("null", NotARequest, "a JSON object"),
        ("{}", NotARequest, "`do` is missing"),
        (r#"{"do":7}"#, NotARequest, "`do` is a string"),
        (r#"{"do":"list","do":"quit"}"#, NotARequest, "twice"),
        (r#"{"do":"list","id":-1}"#, NotARequest, "`id` is a whole number"),
        (r#"{"do":"list","id":9007199254740992}"#, NotARequest, "`id` is a whole number"),
        (r#"{"do":"list","id":1.5}"#, NotARequest, "`id` is a whole number"),
        (r#"{"do":"list","barkeep_control":2}"#, UnknownVersion, "version 2 of the protocol"),
        (r#"{"do":"list","barkeep_control":"1"}"#, UnknownVersion, "version \"1\""),
        (r#"{"do":"remvoe","device":"04:00.1"}"#, UnknownCommand, "did you mean `remove`?"),
        (r#"{"do":"frobnicate"}"#, UnknownCommand, "there is no command `frobnicate`"),
        (r#"{"do":"list","verbose":true}"#, UnknownKey, "there is no key `verbose`"),
        (r#"{"do":"reset","devcie":"04:00.1"}"#, NotARequest, "`device` is missing"),
        (r#"{"do":"pause","device":"04:00.1"}"#, UnknownKey, "about no device"),
        (r#"{"do":"list","idd":1}"#, UnknownKey, "did you mean `id`?"),
        (r#"{"do":"reset"}"#, NotARequest, "`device` is missing"),
        (r#"{"do":"reset","device":["04:00.1"]}"#, NotARequest, "`device` is a string"),
        (r#"{"do":"reset","device":"nvme"}"#, UnknownDevice, "named like 0000:01:00.0"),
    ] {
        let (_, refusal) = refused(line);
        assert_eq!(refusal.kind, kind, "{line}: {refusal}");
        assert!(refusal.message.contains(told), "{line}: {refusal}");
    }
}

#[test]
fn a_refusal_carries_the_number_of_its_request_where_there_is_one() {
    assert_eq!(refused(r#"{"id":7,"do":"lsit"}"#).0, Some(7));
    assert_eq!(refused(r#"{"id":"7","do":"list"}"#).0, None);
    assert_eq!(refused(r#"{"id":7"#).0, None);
}

#[test]
fn bytes_that_are_no_text_are_no_json() {
    let (_, refusal) = Request::parse(b"{\"do\":\"\xff\xfe\"}").unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::NotJson);
}
