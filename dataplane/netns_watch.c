/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/netns_watch.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

void netns_path(const char *netns, char *path, size_t size)
{
	snprintf(path, size, "%s%s", strchr(netns, '/') != NULL ? "" : "/run/netns/", netns);
}

struct netns_id netns_identify(const char *netns)
{
	struct stat st;
	char path[4096];

	netns_path(netns, path, sizeof(path));
	return stat(path, &st) == 0 ? (struct netns_id){ st.st_dev, st.st_ino }
				    : (struct netns_id){ 0, 0 };
}

/** One that even root may not look at (an LSM's doing) is no pod's. */
static bool process_is_inside(int proc, const char *pid, const struct netns_id *id)
{
	struct stat st;
	char path[300];

	snprintf(path, sizeof(path), "%s/ns/net", pid);
	return fstatat(proc, path, &st, 0) == 0 && st.st_dev == id->device &&
	       st.st_ino == id->inode;
}

bool netns_is_deserted(const char *netns, const struct netns_id *id)
{
	const struct netns_id now = netns_identify(netns);
	struct dirent *entry;
	bool inside = false;
	DIR *proc;

	if (id->inode == 0 || (now.device == id->device && now.inode == id->inode))
		return false;
	proc = opendir("/proc");
	if (proc == NULL)
		return false;
	while (!inside && (entry = readdir(proc)) != NULL) {
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
			inside = process_is_inside(dirfd(proc), entry->d_name, id);
	}
	closedir(proc);
	return !inside;
}
