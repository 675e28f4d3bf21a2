//! What anybody sends to the control socket, in any pieces: each line has one answer, in its order, and no
//! more memory is taken than a line has.
#![no_main]

use barkeep_control::{Answer, Connection, Done, Greeting, LINE_LIMIT, Request};

/// The longest answer to a request, with room: a refusal shows 64 characters of what was sent, each of six bytes
/// at the most in JSON, twice.
const ANSWER: usize = 4096;

libfuzzer_sys::fuzz_target!(|input: (Vec<u8>, Vec<u16>)| {
    let (bytes, cuts) = input;
    let mut connection = Connection::new(&Greeting { program: "fuzz".to_owned() });
    let (mut rest, mut sizes) = (&bytes[..], cuts.iter().cycle());
    let mut answers = Vec::new();
    send(&mut connection, &mut answers);
    answers.clear();
    loop {
        if let Some(request) = connection.request() {
            let line = request.print();
            assert_eq!(Request::parse(line.trim_end().as_bytes()), Ok(request));
            assert!(connection.works() && !connection.wants_input());
            connection.answer(Ok(Done::Reset));
        }
        if !connection.output().is_empty() {
            assert!(!connection.wants_input());
            send(&mut connection, &mut answers);
            continue;
        }
        if connection.is_over() {
            break;
        }
        if connection.wants_input() {
            let size = usize::from(*sizes.next().unwrap_or(&u16::MAX)).clamp(1, 4096).min(rest.len());
            match size {
                0 => connection.input_is_over(),
                _ => connection.received(&rest[..size]),
            }
            rest = &rest[size..];
        }
    }
    hold(&bytes, &answers);
});

fn send(connection: &mut Connection, answers: &mut Vec<Vec<u8>>) {
    let output = connection.output().to_vec();
    assert!(output.ends_with(b"\n") && output.len() < ANSWER);
    connection.sent(output.len());
    answers.push(output);
}

/// The same without a connection: line by line.
fn hold(bytes: &[u8], answers: &[Vec<u8>]) {
    let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let rest = lines.pop().unwrap_or_default();
    let long = lines.iter().position(|line| line.len() > LINE_LIMIT);
    let wanted = match long {
        Some(long) => long + 1,
        None => lines.len() + usize::from(!rest.is_empty()),
    };
    assert_eq!(answers.len(), wanted);
    for (line, answer) in lines.iter().zip(answers) {
        let answer = Answer::parse(answer.trim_ascii_end()).expect("an answer");
        match Request::parse(line) {
            Ok(request) => assert_eq!(answer, Answer { id: request.id, outcome: Ok(Done::Reset) }),
            Err(_) if line.len() > LINE_LIMIT => assert!(answer.outcome.is_err()),
            Err((id, refusal)) => assert_eq!(answer, Answer { id, outcome: Err(refusal) }),
        }
    }
}
