use super::*;
use crate::{Command, Done, LINE_LIMIT, RefusalKind};
use proptest::prelude::*;

fn connection() -> Connection {
    Connection::new(&Greeting { program: "barkeep".into() })
}

/// Sends all there is to be sent; gives its lines.
fn drain(connection: &mut Connection) -> Vec<String> {
    let lines = String::from_utf8(connection.output().to_vec()).unwrap();
    connection.sent(lines.len());
    lines.lines().map(str::to_owned).collect()
}

fn answers(connection: &mut Connection) -> Vec<Answer> {
    drain(connection).iter().map(|line| Answer::parse(line.as_bytes()).expect(line)).collect()
}

fn greeted() -> Connection {
    let mut connection = connection();
    assert!(!connection.wants_input(), "the greeting goes first");
    assert_eq!(drain(&mut connection).len(), 1);
    connection
}

#[test]
fn a_request_waits_until_the_answer_before_it_is_sent() {
    let mut connection = greeted();
    connection.received(b"{\"do\":\"pause\",\"id\":1}\n{\"do\":\"list\",\"id\":2}\n");
    assert_eq!(connection.request(), Some(Request { id: Some(1), command: Command::Pause }));
    assert_eq!(connection.request(), None, "one at a time");
    assert!(connection.works() && !connection.wants_input());
    connection.answer(Ok(Done::Pause { changed: true }));
    assert_eq!(connection.request(), None, "the answer is not sent yet");
    assert_eq!(answers(&mut connection)[0].id, Some(1));
    assert_eq!(connection.request(), Some(Request { id: Some(2), command: Command::List }));
}

#[test]
fn nonsense_is_refused_and_the_next_request_is_answered() {
    let mut connection = greeted();
    connection.received(b"nonsense\n{\"do\":\"quit\"}\n");
    assert_eq!(connection.request(), None);
    let refusal = answers(&mut connection).remove(0).outcome.unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::NotJson);
    assert_eq!(connection.request(), Some(Request { id: None, command: Command::Quit }));
}

#[test]
fn a_line_without_an_end_ends_the_connection() {
    let mut connection = greeted();
    while connection.wants_input() {
        connection.received(&[b'x'; 1000]);
    }
    assert_eq!(connection.request(), None);
    let refusal = answers(&mut connection).remove(0).outcome.unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::LineTooLong);
    assert!(connection.is_over());
}

#[test]
fn half_a_line_and_then_the_end_is_told() {
    let mut connection = greeted();
    connection.received(b"{\"do\":\"list\"}\n{\"do\":");
    connection.input_is_over();
    assert!(connection.request().is_some());
    connection.answer(Ok(Done::Reset));
    assert!(!connection.is_over());
    drain(&mut connection);
    assert_eq!(connection.request(), None);
    let refusal = answers(&mut connection).remove(0).outcome.unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::LineIncomplete);
    assert!(connection.is_over());
}

#[test]
fn who_only_hangs_up_is_told_nothing() {
    let mut connection = greeted();
    connection.input_is_over();
    assert_eq!(connection.request(), None);
    assert!(connection.is_over());
}

/// As the VMM goes about it: receives where that is wanted, answers all that is asked, sends what there is.
fn carry_on(connection: &mut Connection, out: &mut Vec<u8>) {
    loop {
        out.extend_from_slice(connection.output());
        let length = connection.output().len();
        connection.sent(length);
        match connection.request() {
            Some(_) => connection.answer(Ok(Done::Reset)),
            None if connection.output().is_empty() => return,
            None => {}
        }
    }
}

proptest! {
    /// Any bytes, in any pieces: for each line one answer, in its order; never more memory than a line.
    #[test]
    fn any_bytes_have_their_answers(
        pieces in prop::collection::vec(prop::collection::vec(any_byte(), 0..600), 0..40)
    ) {
        let (mut connection, mut out) = (greeted(), Vec::new());
        let mut fed = Vec::new();
        for piece in &pieces {
            carry_on(&mut connection, &mut out);
            if !connection.wants_input() {
                break;
            }
            connection.received(piece);
            fed.extend_from_slice(piece);
        }
        connection.input_is_over();
        carry_on(&mut connection, &mut out);
        prop_assert!(connection.is_over());
        let text = String::from_utf8(out).unwrap();
        let answers: Vec<Answer> =
            text.lines().map(|line| Answer::parse(line.as_bytes()).expect(line)).collect();
        let mut lines: Vec<&[u8]> = fed.split(|byte| *byte == b'\n').collect();
        let rest = lines.pop().unwrap();
        if let Some(long) = lines.iter().position(|line| line.len() > LINE_LIMIT) {
            prop_assert_eq!(answers.len(), long + 1);
        } else {
            prop_assert_eq!(answers.len(), lines.len() + usize::from(!rest.is_empty()));
            for (line, answer) in lines.iter().zip(&answers) {
                prop_assert_eq!(answer.outcome.is_ok(), Request::parse(line).is_ok());
            }
        }
    }

    #[test]
    fn requests_are_read_as_they_are_printed(
        id in prop::option::of(0..crate::ID_END),
        bdf in (any::<u16>(), any::<u8>(), any::<u8>()),
        which in 0..6usize,
    ) {
        let device = barkeep_journal::DeviceAddress { domain: bdf.0, bus: bdf.1, devfn: bdf.2 };
        let command = [
            Command::List, Command::Remove(device), Command::Reset(device), Command::Pause, Command::Resume,
            Command::Quit,
        ][which];
        let request = Request { id, command };
        let line = request.print();
        prop_assert_eq!(Request::parse(line.trim_end().as_bytes()), Ok(request));
    }
}

/// Mostly what requests are made of.
fn any_byte() -> impl Strategy<Value = u8> {
    prop_oneof![
        4 => prop::sample::select(b"{}\":,\n do list quit[]0123456789\\".to_vec()),
        1 => any::<u8>(),
    ]
}
