//! A program for the inside of the lab that starts Barkeep there beside something else: as an ordinary user,
//! with a caller of its control socket, or as if the machine were any host.

use super::bench::Bench;
use super::gate;
use std::fs;
use std::process::Command;

/// `user UID KIB WORDS…`: gives the nodes a VMM needs to that user, and becomes Barkeep with these words, as the user,
/// with that memory-lock limit.
///
/// `calls SOCKET BDF WORDS…`: starts Barkeep with these words; has the device reset on one connection and asks for the
/// list on another until it says so; prints all answers; says `quit`, and gives Barkeep's status.
///
/// `host JOURNAL WORDS…`: becomes Barkeep on a machine that nobody calls a lab, and prints the journal it has written,
/// and what the kernel still traces.
///
/// `free KIB WORDS…`: starts Barkeep with these words, and prints how many huge pages of that size were free: before,
/// at the fewest, and after.
const PROGRAM: &str = r#"
#define _GNU_SOURCE
#include <glob.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void give(const char *pattern, uid_t user)
{
	glob_t found;

	if (glob(pattern, 0, NULL, &found))
		return;
	for (size_t n = 0; n < found.gl_pathc; n++)
		if (chown(found.gl_pathv[n], user, user))
			perror(found.gl_pathv[n]);
}

static int as_user(uid_t user, unsigned long kib, char **words)
{
	struct rlimit limit = { kib * 1024, kib * 1024 };

	give("/dev/kvm", user);
	give("/dev/iommu", user);
	give("/dev/vfio/devices/*", user);
	give(getenv("BARKEEP_JOURNAL"), user);
	if (setrlimit(RLIMIT_MEMLOCK, &limit) || setgroups(0, NULL) || setgid(user) || setuid(user))
		return perror("user"), 99;
	execv("/init", words);
	return perror("/init"), 99;
}

static FILE *call(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char line[8192];
	FILE *stream;

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	if (connect(fd, (void *)&address, sizeof(address)) || !(stream = fdopen(fd, "r+")))
		return close(fd), NULL;
	if (!fgets(line, sizeof(line), stream) || !strstr(line, "barkeep_control"))
		return NULL;
	return stream;
}

static char *ask(FILE *stream, const char *request, char *line, size_t size)
{
	fseek(stream, 0, SEEK_CUR);
	fprintf(stream, "%s\n", request);
	fflush(stream);
	if (!fgets(line, size, stream))
		exit(98);
	return line;
}

static int calls(const char *socket, const char *device, char **words)
{
	pid_t barkeep = fork(), caller;
	char line[8192], request[256];
	FILE *stream;
	int status;

	if (!barkeep)
		return execv("/init", words), 99;
	while (!(stream = call(socket)))
		usleep(20000);
	while (!strstr(ask(stream, "{\"do\":\"list\"}", line, sizeof(line)), "\"cpu\":true"))
		usleep(20000);
	printf("first: %s", line);
	fflush(stdout);
	snprintf(request, sizeof(request), "{\"do\":\"reset\",\"device\":\"%s\",\"id\":1}", device);
	caller = fork();
	if (!caller) {
		FILE *own = call(socket);

		printf("reset: %s", ask(own, request, line, sizeof(line)));
		fflush(stdout);
		_exit(0);
	}
	while (!strstr(ask(stream, "{\"do\":\"list\"}", line, sizeof(line)), "\"resetting\""))
		if (waitpid(caller, NULL, WNOHANG) == caller)
			return puts("the reset was over before a list saw it"), 97;
	/* The slots are withdrawn by now, and the kernel is at it: 100 ms. */
	usleep(20000);
	ask(stream, "{\"do\":\"list\"}", line, sizeof(line));
	printf("meanwhile: %s", line);
	fflush(stdout);
	waitpid(caller, NULL, 0);
	printf("then: %s", ask(stream, "{\"do\":\"list\"}", line, sizeof(line)));
	printf("pause: %s", ask(stream, "{\"do\":\"pause\"}", line, sizeof(line)));
	printf("resume: %s", ask(stream, "{\"do\":\"resume\"}", line, sizeof(line)));
	snprintf(request, sizeof(request), "{\"do\":\"remove\",\"device\":\"%s\"}", device);
	printf("remove: %s", ask(stream, request, line, sizeof(line)));
	printf("last: %s", ask(stream, "{\"do\":\"list\"}", line, sizeof(line)));
	printf("quit: %s", ask(stream, "{\"do\":\"quit\"}", line, sizeof(line)));
	fflush(stdout);
	waitpid(barkeep, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 96;
}

static void print(const char *path)
{
	FILE *file = fopen(path, "r");
	char part[4096];
	size_t size;

	while (file && (size = fread(part, 1, sizeof(part), file)) > 0)
		fwrite(part, 1, size, stdout);
}

static int on_host(const char *journal, char **words)
{
	int status;

	clearenv();
	if (!fork())
		return execv("/init", words), 99;
	wait(&status);
	print(journal);
	printf("still traced:\n");
	print("/sys/kernel/tracing/kprobe_events");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 96;
}

static long free_pages(const char *kib)
{
	char path[256];
	FILE *file;
	long pages = -1;

	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%skB/free_hugepages", kib);
	file = fopen(path, "r");
	if (!file || fscanf(file, "%ld", &pages) != 1 || fclose(file))
		exit(95);
	return pages;
}

static int fewest_free(const char *kib, char **words)
{
	long before = free_pages(kib), fewest = before, now;
	int status;
	pid_t barkeep = fork();

	if (!barkeep)
		return execv("/init", words), 99;
	while (waitpid(barkeep, &status, WNOHANG) == 0) {
		now = free_pages(kib);
		fewest = now < fewest ? now : fewest;
		usleep(5000);
	}
	printf("free: %ld, %ld, %ld\n", before, fewest, free_pages(kib));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 96;
}

int main(int argc, char **argv)
{
	if (argc > 4 && !strcmp(argv[1], "user"))
		return as_user(atoi(argv[2]), strtoul(argv[3], NULL, 10), argv + 3);
	if (argc > 4 && !strcmp(argv[1], "calls"))
		return calls(argv[2], argv[3], argv + 3);
	if (argc > 3 && !strcmp(argv[1], "host"))
		return on_host(argv[2], argv + 2);
	if (argc > 3 && !strcmp(argv[1], "free"))
		return fewest_free(argv[2], argv + 2);
	return 99;
}
"#;

/// A folder with the program, `inner`, where there is a C compiler.
pub fn share(bench: &Bench) -> Option<String> {
    let compiler = gate::find("cc").or_else(|| gate::skip("cc is not in PATH"))?;
    let source = bench.write("inner.c", PROGRAM);
    let program = bench.path("share/inner");
    fs::create_dir(bench.path("share")).unwrap();
    let mut command = Command::new(compiler);
    assert!(command.arg("-static").arg("-o").args([&program, &source]).status().unwrap().success());
    Some(bench.path("share").to_string_lossy().into_owned())
}
