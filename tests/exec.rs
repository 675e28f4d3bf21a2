//! `barkeep lab -- exec`: somebody else's program inside.

mod common;

use common::bench::{Bench, eventually};
use common::gate;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::process::Command;

/// Writes its argument to a file that comes out, or never ends.
const PROGRAM: &str = r#"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char path[256];
	FILE *file;

	if (argc == 2 && !strcmp(argv[1], "wait"))
		for (;;)
			sleep(1);
	snprintf(path, sizeof(path), "%s/sub.txt", getenv("BARKEEP_OUT"));
	file = fopen(path, "w");
	if (argc != 2 || !file || fprintf(file, "%s\n%s\n", argv[1], getenv("BARKEEP_DEVICES")) < 0 || fclose(file))
		return 99;
	puts("said inside");
	return 7;
}
"#;

/// A folder with the program, where there is a C compiler.
fn share(bench: &Bench) -> Option<String> {
    let compiler = gate::find("cc").or_else(|| gate::skip("cc is not in PATH"))?;
    let source = bench.write("program.c", PROGRAM);
    let program = bench.path("share/program");
    fs::create_dir(bench.path("share")).unwrap();
    let compiled = Command::new(compiler).arg("-static").arg("-o").args([&program, &source]).status();
    assert!(compiled.unwrap().success());
    Some(bench.path("share").to_string_lossy().into_owned())
}

#[test]
fn the_status_the_output_and_the_files_of_a_program_come_out() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    let Some(share) = share(&bench) else { return };
    let ran = bench.run_lab(&kernel, &["--share", &share], &["exec", "program", "hello there"]);
    ran.ended(7);
    assert!(ran.stdout.lines().any(|line| line == "said inside"), "{}", ran.stdout);
    let last = ran.stdout.lines().last().unwrap_or_default();
    assert!(last.contains("status 7, the program's own"), "{last}");
    let devices = "nvme=0000:00:03.0 edu=0000:00:04.0";
    assert_eq!(bench.read("out/sub.txt"), format!("hello there\n{devices}\n"));
}

#[test]
fn an_interrupt_ends_all_of_it() {
    let Some(kernel) = gate::kernel(gate::PLAIN) else { return };
    let bench = Bench::new();
    let Some(share) = share(&bench) else { return };
    let _alone = gate::emulator();
    let child = bench.start(&mut bench.lab(&kernel, &["--share", &share], &["exec", "program", "wait"]));
    eventually("the program runs", || bench.read("out/journal.jsonl").contains("exec program wait"));
    // barkeep's own and the emulator's.
    assert_eq!(bench.processes().len(), 2, "{:?}", bench.processes());
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    bench.wait(child).ended(130).tells(&["ended by signal 2"]);
    assert_eq!(bench.processes(), Vec::<String>::new());
}
