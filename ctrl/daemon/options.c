/* SPDX-License-Identifier: Apache-2.0 */
#include "ctrl/daemon/options.h"

#include "config/log.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static const char help[] =
	"Usage: podlaned [OPTION]...\n"
	"Move packets between NICs, tunnels and pods as a configuration file and an API say.\n"
	"\n"
	"  -c, --config FILE      configuration (/etc/podlane/podlane.conf)\n"
	"  -s, --socket PATH      Unix socket of the API (/run/podlane/api.sock)\n"
	"  -d, --state DIR        what survives a restart (/var/lib/podlane)\n"
	"      --check            read and check the configuration, then exit\n"
	"      --take-over        take the place of the daemon that runs with this state "
	"directory\n"
	"      --remove-interfaces\n"
	"                         remove the interfaces that a stopped daemon left in pods, then "
	"exit\n"
	"  -l, --log-level LEVEL  error, warning, info or debug (as the configuration says)\n"
	"  -V, --version          print the version\n"
	"  -h, --help             print this\n"
	"\n"
	"SIGHUP reads the configuration again. SIGUSR2, and `podlane upgrade`, start a successor "
	"that takes over.\n"
	"SIGTERM stops; interfaces in pods stay, for the next start to take over.\n";

enum { OPTION_CHECK = 256, OPTION_TAKE_OVER, OPTION_REMOVE_INTERFACES };

static const struct option long_options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "socket", required_argument, NULL, 's' },
	{ "state", required_argument, NULL, 'd' },
	{ "check", no_argument, NULL, OPTION_CHECK },
	{ "take-over", no_argument, NULL, OPTION_TAKE_OVER },
	{ "remove-interfaces", no_argument, NULL, OPTION_REMOVE_INTERFACES },
	{ "log-level", required_argument, NULL, 'l' },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

int options_parse(int argc, char **argv, struct options *options)
{
	enum log_level level;
	int c;

	*options = (struct options){
		.config = "/etc/podlane/podlane.conf",
		.socket = "/run/podlane/api.sock",
		.state = "/var/lib/podlane",
	};
	while ((c = getopt_long(argc, argv, "c:s:d:l:Vh", long_options, NULL)) != -1) {
		switch (c) {
		case 'c':
			options->config = optarg;
			break;
		case 's':
			options->socket = optarg;
			break;
		case 'd':
			options->state = optarg;
			break;
		case 'l':
			options->log_level = optarg;
			break;
		case OPTION_CHECK:
			options->check = true;
			break;
		case OPTION_TAKE_OVER:
			options->take_over = true;
			break;
		case OPTION_REMOVE_INTERFACES:
			options->remove_interfaces = true;
			break;
		case 'V':
			puts("podlaned " PODLANE_VERSION);
			return EXIT_SUCCESS;
		case 'h':
			fputs(help, stdout);
			return EXIT_SUCCESS;
		default:
			fputs("Try 'podlaned --help'.\n", stderr);
			return EXIT_FAILURE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "podlaned: unexpected argument \"%s\"\nTry 'podlaned --help'.\n",
			argv[optind]);
		return EXIT_FAILURE;
	}
	if (options->log_level != NULL && !log_level_parse(options->log_level, &level)) {
		fprintf(stderr,
			"podlaned: log level \"%s\" does not exist: use error, warning, info or "
			"debug\n",
			options->log_level);
		return EXIT_FAILURE;
	}
	if (options->log_level != NULL)
		log_level_set(level);
	return -1;
}
