//! The control socket: what `barkeep ctl` does to VMs that run, and what anybody may send without harm.

mod common;

use common::bench::{Bench, eventually};
use common::{EDU, gate, inner};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Output};
use std::time::Duration;

/// The guest halts, over and over, until somebody ends it.
const WAITING: &str = r#"
version = 1
name = "waiting"
[guest]
vcpus = 2
[simulated]
nvme = "sim:memory,size=1M,reset-time=3s"
edu = "sim:dma"
[[action]]
do = "fill"
to = { device = "nvme", bar = 2 }
pattern = 0x11111111
[[action]]
do = "dma"
engine = "edu"
to = { device = "nvme", bar = 2 }
expect = "lands"
[[action]]
do = "repeat"
times = 100000
action = [{ do = "sleep", time = "20ms" }]
"#;
const NVME: &str = "ffff:00:01.0";
const SIM_EDU: &str = "ffff:00:02.0";

/// A VM in lane `kvm` that waits, and its control socket.
struct Vm {
    bench: Bench,
    socket: PathBuf,
    child: Option<Child>,
}

impl Vm {
    fn start() -> Option<Self> {
        gate::kvm()?;
        let bench = Bench::new();
        bench.write("waiting.toml", WAITING);
        let socket = bench.path("vm.sock");
        let mut vm = Self { bench, socket, child: None };
        let mut command = vm.run();
        vm.child = Some(vm.bench.start(&mut command));
        eventually("its socket is there", || vm.socket.exists());
        eventually("it waits", || vm.bench.read("out/journal.jsonl").contains("\"text\":\"sleep"));
        assert_eq!(vm.state(NVME), "live");
        Some(vm)
    }

    fn run(&self) -> std::process::Command {
        let mut command = self.bench.barkeep(["run", "--lane", "kvm", "--scenario", "waiting.toml"]);
        command.arg("--control").arg(&self.socket).arg("--out").arg(self.bench.out());
        command
    }

    fn ctl(&self, words: &[&str]) -> Output {
        self.bench.barkeep(["ctl"]).arg(&self.socket).args(words).output().unwrap()
    }

    /// What a command says that is carried out.
    #[track_caller]
    fn says(&self, words: &[&str]) -> String {
        let output = self.ctl(words);
        let (out, told) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "{words:?}: {out}{told}");
        out.trim_end().to_owned()
    }

    /// What a command is refused with.
    #[track_caller]
    fn refuses(&self, status: i32, words: &[&str], told: &str) {
        let output = self.ctl(words);
        assert_eq!(output.status.code(), Some(status), "{words:?}: {}", text(&output.stdout));
        let said = text(&output.stderr);
        assert!(said.contains(told), "{words:?}: {said}");
    }

    fn list(&self) -> Value {
        let answer: Value = serde_json::from_str(&self.says(&["list", "--json"])).unwrap();
        assert_eq!(answer["ok"]["did"], "list");
        answer["ok"].clone()
    }

    /// How a device is.
    fn state(&self, device: &str) -> String {
        let list = self.list();
        let devices = list["devices"].as_array().unwrap();
        let found = devices.iter().find(|found| found["device"] == device).expect(device);
        found["state"].as_str().unwrap().to_owned()
    }

    fn is_alive(&mut self) -> bool {
        self.child.as_mut().unwrap().try_wait().unwrap().is_none()
    }

    /// Ends it, and has it judged: nothing is broken, and the scenario was not carried out.
    fn quit(mut self) -> Bench {
        assert_eq!(self.says(&["quit"]), "it ends");
        let ran = self.bench.wait(self.child.take().unwrap());
        ran.ended(130);
        assert!(ran.stdout.contains("nothing found, ended with status 130"), "{}", ran.stdout);
        assert!(!self.socket.exists(), "the socket is left behind");
        std::mem::replace(&mut self.bench, Bench::new())
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A connection without `barkeep ctl`.
struct Caller {
    stream: UnixStream,
    input: BufReader<UnixStream>,
}

impl Caller {
    /// One that has been greeted.
    fn of(vm: &Vm) -> Self {
        let stream = UnixStream::connect(&vm.socket).unwrap();
        // Only so that a test that fails ends.
        stream.set_read_timeout(Some(Duration::from_secs(600))).unwrap();
        let input = BufReader::new(stream.try_clone().unwrap());
        let mut caller = Self { stream, input };
        let greeting = caller.answer();
        assert_eq!((&greeting["barkeep_control"], &greeting["line_limit"]), (&json!(1), &json!(4096)));
        caller
    }

    fn send(&mut self, bytes: &[u8]) -> &mut Self {
        self.stream.write_all(bytes).unwrap();
        self
    }

    #[track_caller]
    fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.input.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    /// Whether nothing comes any more.
    fn is_over(&mut self) -> bool {
        let mut rest = Vec::new();
        self.input.read_to_end(&mut rest).is_ok() && rest.is_empty()
    }
}

#[test]
fn devices_are_listed_reset_and_removed_and_the_guest_is_paused() {
    let Some(vm) = Vm::start() else { return };
    let there = vm.socket.symlink_metadata().unwrap();
    assert!(there.file_type().is_socket());
    assert_eq!(there.permissions().mode() & 0o777, 0o600);
    let list = vm.list();
    assert_eq!(list["guest"], "running");
    let address = list["devices"][0]["windows"][0]["address"].as_str().unwrap();
    let slot = r#""kind":"slot_add","phase":"end""#;
    let added = vm.bench.read("out/journal.jsonl");
    let added = added.lines().find(|line| line.contains(slot) && line.contains(NVME)).unwrap();
    assert!(added.contains(&format!(r#""address":"{address}""#)), "{address}: {added}");
    let window =
        json!({"bar": 2, "offset": "0x0", "size": "0x100000", "address": address, "cpu": true, "p2p": true});
    let device = json!({"device": NVME, "name": "nvme", "state": "live", "windows": [window]});
    assert_eq!(list["devices"][0], device);
    assert_eq!(vm.says(&["pause"]), "guest paused");
    assert_eq!(vm.says(&["pause"]), "the guest was paused already");
    assert_eq!(vm.list()["guest"], "paused");
    let before = vm.bench.read("out/journal.jsonl").lines().filter(|line| line.contains("sleep")).count();
    assert_eq!(vm.says(&["resume"]), "guest running");
    assert_eq!(vm.says(&["resume"]), "the guest was running already");
    eventually("the guest goes on", || {
        let now = vm.bench.read("out/journal.jsonl").lines().filter(|line| line.contains("sleep")).count();
        now > before + 4
    });
    vm.refuses(2, &["reset", "ffff:00:01.1"], "did you mean `ffff:00:01.0`?");
    vm.refuses(2, &["remove", "0000:00:1f.7"], "there is no device `0000:00:1f.7`");
    vm.refuses(2, &["reset", "nvme"], "nvme");
    vm.refuses(1, &["reset", SIM_EDU], "Invalid argument");
    assert_eq!(vm.says(&["remove", NVME]), "removed");
    assert_eq!(vm.says(&["remove", NVME]), "it was removed already");
    assert_eq!((vm.state(NVME), vm.state(SIM_EDU)), ("removed".into(), "live".into()));
    vm.refuses(2, &["reset", NVME], "has been removed");
    let journal = vm.quit().journal();
    let mut story = journal.story();
    let control = |text: &str| json!({"kind": "control", "text": text, "phase": "begin"});
    story.then(control("pause"));
    story.then(control("resume"));
    let remove = story.then(json!({"kind": "control", "device": NVME, "text": format!("remove {NVME}")}));
    story.then(json!({"kind": "trigger", "trigger": "close", "device": NVME, "phase": "end", "result": 0}));
    story.then(json!({"kind": "device_close", "device": NVME}));
    story.then(json!({"kind": "control", "phase": "end", "step": remove["step"], "result": 0}));
    story.then(control("quit"));
    story.then(json!({"kind": "run_end", "result": 130}));
}

/// The reset of this device takes three seconds; whatever else is asked meanwhile is answered before.
#[test]
fn a_reset_holds_up_nobody() {
    let Some(vm) = Vm::start() else { return };
    let mut resetting = Caller::of(&vm);
    let reset = format!("{{\"do\":\"reset\",\"device\":\"{NVME}\",\"id\":1}}\n");
    resetting.send(reset.as_bytes()).send(b"{\"do\":\"list\",\"id\":2}\n");
    eventually("it is resetting", || vm.state(NVME) == "resetting");
    let list = vm.list();
    assert_eq!(list["devices"][0]["windows"][0]["cpu"], false);
    assert_eq!(list["devices"][0]["windows"][0]["p2p"], Value::Null);
    assert_eq!(list["devices"][1]["state"], "live");
    assert_eq!(vm.says(&["pause"]), "guest paused");
    vm.refuses(1, &["reset", SIM_EDU], "Invalid argument");
    assert_eq!(vm.says(&["resume"]), "guest running");
    assert_eq!(vm.state(NVME), "resetting", "three seconds, and six commands took longer");
    // On its own connection the order is that of the requests.
    let done = resetting.answer();
    assert_eq!((&done["id"], &done["ok"]["did"]), (&json!(1), &json!("reset")));
    let listed = resetting.answer();
    assert_eq!((&listed["id"], &listed["ok"]["devices"][0]["state"]), (&json!(2), &json!("live")));
    // Asked to end in the middle of the next, it is over once that is.
    resetting.send(reset.as_bytes());
    eventually("it is resetting again", || vm.state(NVME) == "resetting");
    let journal = vm.quit().journal();
    assert_eq!(resetting.answer()["ok"]["did"], "reset");
    assert!(resetting.is_over());
    let mut story = journal.story();
    for _ in 0..2 {
        let begin = story.then(json!({"kind": "control", "text": format!("reset {NVME}"), "phase": "begin"}));
        story.then(json!({"kind": "control", "step": begin["step"], "phase": "end", "result": 0}));
        let begun = journal.events.iter().position(|event| event == begin).unwrap();
        let trigger = json!({"kind": "trigger", "trigger": "device_reset", "device": NVME, "phase": "end"});
        assert!(journal.position(begun, &trigger) > begun);
    }
}

#[test]
fn nonsense_is_refused_by_its_sort_and_harms_nobody() {
    let Some(mut vm) = Vm::start() else { return };
    let mut caller = Caller::of(&vm);
    for (line, kind, told) in [
        (&b"hello"[..], "not-json", "expected value"),
        (b"", "not-json", "EOF"),
        (b"{\"do\":\"li\0st\"}", "not-json", "control character"),
        (b"\xff\xfe", "not-json", ""),
        (b"[1,2,3]", "not-a-request", "a JSON object"),
        (b"{\"do\":\"list\",\"do\":\"quit\"}", "not-a-request", "twice"),
        (b"{\"do\":\"quti\"}", "unknown-command", "did you mean `quit`?"),
        (b"{\"do\":\"list\",\"barkeep_control\":9}", "unknown-version", "version 9"),
        (b"{\"do\":\"list\",\"force\":true}", "unknown-key", "force"),
        (b"{\"do\":\"reset\",\"device\":\"ffff:00:03.0\"}", "unknown-device", "ffff:00:0"),
    ] {
        caller.send(line).send(b"\n");
        let error = caller.answer()["error"].clone();
        assert_eq!(error["kind"], kind, "{}: {error}", text(line));
        assert!(error["message"].as_str().unwrap().contains(told), "{}: {error}", text(line));
    }
    // The same connection goes on.
    assert_eq!(caller.send(b"{\"do\":\"list\",\"id\":5}\n").answer()["id"], 5);
    let long = vec![b'x'; 5000];
    let error = caller.send(&long).answer()["error"].clone();
    assert_eq!(error["kind"], "line-too-long");
    assert!(caller.is_over());
    let mut half = Caller::of(&vm);
    half.send(b"{\"do\":\"qu").stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(half.answer()["error"]["kind"], "line-incomplete");
    assert!(half.is_over());
    Caller::of(&vm).send(b"{\"do\":\"li");
    // Who does not read holds up nobody but itself.
    let mut deaf = Caller::of(&vm);
    deaf.stream.set_nonblocking(true).unwrap();
    while deaf.stream.write(b"{\"do\":\"list\"}\n{\"do\":\"list\"}\n").is_ok() {}
    assert_eq!(vm.list()["guest"], "running");
    assert!(vm.is_alive());
    vm.quit();
}

#[test]
fn a_thousand_connections_keep_nobody_out() {
    let Some(mut vm) = Vm::start() else { return };
    let mut first = Caller::of(&vm);
    let mut open = Vec::new();
    while open.len() < 1000 {
        match UnixStream::connect(&vm.socket) {
            Ok(stream) => open.push(stream),
            // Its backlog is full for a moment.
            Err(error) => assert_eq!(error.raw_os_error(), Some(11), "{error}"),
        }
    }
    assert_eq!(vm.list()["guest"], "running");
    // It was silent the longest, and is told why it has to go.
    assert_eq!(first.answer()["error"]["kind"], "too-many-connections");
    assert!(first.is_over());
    assert!(vm.is_alive());
    drop(open);
    assert_eq!(Caller::of(&vm).send(b"{\"do\":\"list\"}\n").answer()["ok"]["did"], "list");
    vm.quit();
}

#[test]
fn the_path_of_a_vmm_that_lives_is_refused_and_that_of_a_dead_one_taken() {
    let Some(mut vm) = Vm::start() else { return };
    let second = vm.run().output().unwrap();
    assert_eq!(second.status.code(), Some(2));
    let told = text(&second.stderr);
    assert!(told.contains("a VMM listens there") && told.contains("barkeep ctl"), "{told}");
    assert_eq!(vm.list()["guest"], "running");
    let mut killed = vm.child.take().unwrap();
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(vm.socket.exists());
    vm.refuses(2, &["list"], "its VMM is gone");
    let mut command = vm.run();
    vm.child = Some(vm.bench.start(&mut command));
    eventually("it is there again", || vm.ctl(&["list"]).status.success());
    let socket = vm.socket.clone();
    vm.quit();
    let bench = Bench::new();
    let nobody = bench.barkeep(["ctl"]).arg(&socket).arg("list").output().unwrap();
    assert_eq!(nobody.status.code(), Some(2));
    assert!(text(&nobody.stderr).contains("there is no control socket at"), "{}", text(&nobody.stderr));
    let file = bench.write("notes.txt", "mine");
    let mut command = bench.barkeep(["run", "--lane", "kvm", "--control"]);
    command.arg(&file);
    bench.run(command).ended(2).tells(&["no socket"]);
    assert_eq!(bench.read("notes.txt"), "mine");
}

#[test]
fn where_no_vmm_runs_there_is_no_socket() {
    let bench = Bench::new();
    for lane in ["model", "lab"] {
        let command = bench.barkeep(["run", "--lane", lane, "--control", "vm.sock"]);
        bench.run(command).ended(2).tells(&["--control vm.sock is for a VMM that runs here"]);
        assert!(!bench.path("vm.sock").exists());
    }
}

/// A real device's reset takes its 100 ms inside of the kernel; a list is answered meanwhile.
#[test]
fn a_list_is_answered_while_a_real_device_is_reset() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    let Some(share) = inner::share(&bench) else { return };
    let scenario = WAITING.split("[simulated]").next().unwrap().to_owned() + "[[action]]\ndo = \"repeat\"\n";
    let scenario = scenario + "times = 100000\naction = [{ do = \"sleep\", time = \"20ms\" }]\n";
    let scenario = bench.write("waiting.toml", scenario);
    let words = ["exec", "inner", "calls", "/tmp/vm.sock", common::NVME, "run", "--control", "/tmp/vm.sock"];
    let nvme = format!("nvme={}", common::NVME);
    let edu = format!("edu={EDU}");
    let mut inner = words.to_vec();
    inner.extend(["--device", &nvme, "--device", &edu, "--scenario", scenario.to_str().unwrap()]);
    let ran = bench.run_lab(&kernel, &["--share", &share], &inner);
    ran.ended(130);
    let said = |name: &str| -> Value {
        let line = ran.stdout.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        serde_json::from_str(line.unwrap_or_else(|| panic!("no {name}: {ran:?}"))).unwrap()
    };
    let state = |name: &str| {
        let devices = said(name)["ok"]["devices"].as_array().unwrap().clone();
        let nvme = devices.into_iter().find(|device| device["device"] == common::NVME).unwrap();
        nvme["state"].as_str().unwrap().to_owned()
    };
    assert_eq!((state("first"), state("meanwhile")), ("live".into(), "resetting".into()));
    assert_eq!(said("reset"), json!({"id": 1, "ok": {"did": "reset"}}));
    assert_eq!(state("then"), "live");
    assert_eq!(said("pause")["ok"]["changed"], true);
    assert_eq!(said("resume")["ok"]["changed"], true);
    assert_eq!(said("remove")["ok"]["changed"], true);
    assert_eq!(state("last"), "removed");
    let journal = bench.journal();
    let mut story = journal.story();
    let reset = format!("reset {}", common::NVME);
    story.then(json!({"kind": "control", "text": reset, "phase": "begin"}));
    let trigger = story.then(json!({"kind": "trigger", "trigger": "device_reset", "phase": "begin"}));
    story.then(json!({"kind": "control", "text": "list", "phase": "begin"}));
    story.then(json!({"kind": "trigger", "step": trigger["step"], "phase": "end", "result": 0}));
    story.then(json!({"kind": "p2p_map", "device": common::NVME, "phase": "end", "result": 0}));
    story.then(json!({"kind": "device_close", "device": common::NVME}));
    for leftover in journal.all(&json!({"kind": "leftover"})) {
        assert_eq!(leftover["value"], 0, "{leftover}");
    }
}
