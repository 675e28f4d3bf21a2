/* Carries out its arguments inside the lab, one after the other, and says how each went:
 *
 *   show PATH          what a link points to, or a file's first line
 *   write PATH TEXT    writes a file of the kernel's
 *   hold PATH          opens a file and keeps it open; drop closes it
 *   default INTERFACE  an address, up, and a default route
 *   anything else      barkeep with these words
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/route.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

static int held = -1;

static int show(const char *path)
{
	char text[256];
	ssize_t size = readlink(path, text, sizeof(text) - 1);
	int file;

	if (size < 0) {
		file = open(path, O_RDONLY);
		size = file < 0 ? -1 : read(file, text, sizeof(text) - 1);
		if (file >= 0)
			close(file);
	}
	if (size < 0) {
		printf("nothing\n");
		return 1;
	}
	text[size] = 0;
	text[strcspn(text, "\n")] = 0;
	printf("%s\n", strrchr(text, '/') ? strrchr(text, '/') + 1 : text);
	return 0;
}

static int write_to(const char *path, const char *text)
{
	int file = open(path, O_WRONLY);
	int failed = file < 0 || write(file, text, strlen(text)) < 0;

	if (file >= 0)
		close(file);
	return failed;
}

static int default_route(const char *interface)
{
	int file = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in *address;
	struct rtentry route = { 0 };
	struct ifreq request = { 0 };
	int failed;

	strncpy(request.ifr_name, interface, IFNAMSIZ - 1);
	address = (struct sockaddr_in *)&request.ifr_addr;
	address->sin_family = AF_INET;
	inet_aton("10.0.2.15", &address->sin_addr);
	failed = ioctl(file, SIOCSIFADDR, &request);
	request.ifr_flags = IFF_UP;
	failed |= ioctl(file, SIOCSIFFLAGS, &request);
	route.rt_dst.sa_family = route.rt_genmask.sa_family = AF_INET;
	route.rt_flags = RTF_UP;
	route.rt_dev = (char *)interface;
	failed |= ioctl(file, SIOCADDRT, &route);
	close(file);
	return failed != 0;
}

static int barkeep(char **words)
{
	int status;
	pid_t child = fork();

	if (!child) {
		dup2(STDOUT_FILENO, STDERR_FILENO);
		execv("/init", words);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		return 126;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 125;
}

static int carry_out(char *line)
{
	char *words[16] = { "barkeep" };
	int count = 1;

	for (char *word = strtok(line, " "); word && count < 15; word = strtok(NULL, " "))
		words[count++] = word;
	if (count == 3 && !strcmp(words[1], "show"))
		return show(words[2]);
	if (count == 4 && !strcmp(words[1], "write"))
		return write_to(words[2], words[3]);
	if (count == 3 && !strcmp(words[1], "hold"))
		return (held = open(words[2], O_RDWR)) < 0;
	if (count == 2 && !strcmp(words[1], "drop"))
		return close(held);
	if (count == 3 && !strcmp(words[1], "default"))
		return default_route(words[2]);
	return barkeep(words);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		char *line = strdup(argv[i]);
		int status;

		printf("> %s\n", argv[i]);
		fflush(stdout);
		status = carry_out(line);
		printf("< %d\n", status);
		fflush(stdout);
		free(line);
	}
	return 0;
}
