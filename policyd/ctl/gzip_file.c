#include "policyd/ctl/gzip_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>
#include <zlib.h>

#include "common/base/mem.h"

struct gzip_file {
	gzFile stream;
	char path[PATH_MAX], made[PATH_MAX];
	int error; /* errno of the first thing that went wrong */
};

struct gzip_file *
gzip_file_new(const char *path)
{
	struct gzip_file *file = x_new(struct gzip_file);
	int n = snprintf(file->made, sizeof(file->made), "%s.tmp", path);
	int fd = -1;

	(void)snprintf(file->path, sizeof(file->path), "%s", path);
	if (n < 0 || (size_t)n >= sizeof(file->made))
		errno = ENAMETOOLONG;
	else
		fd = open(file->made,
			O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
			0644);
	if (fd < 0) {
		x_free(file);
		return NULL;
	}
	file->stream = gzdopen(fd, "wb");
	if (file->stream == NULL) {
		(void)close(fd);
		(void)unlink(file->made);
		x_free(file);
		errno = ENOMEM;
		return NULL;
	}
	return file;
}

void
gzip_file_add(struct gzip_file *file, struct slice text)
{
	if (file->error != 0 || text.len == 0)
		return;
	errno = 0;
	if (gzwrite(file->stream, text.ptr, (unsigned)text.len) !=
		(int)text.len)
		file->error = errno != 0 ? errno : EIO;
}

int
gzip_file_close(struct gzip_file *file)
{
	int error = file->error;

	errno = 0;
	if (gzclose(file->stream) != Z_OK && error == 0)
		error = errno != 0 ? errno : EIO;
	if (error == 0 && rename(file->made, file->path) < 0)
		error = errno;
	if (error != 0)
		(void)unlink(file->made);
	x_free(file);
	errno = error;
	return error == 0 ? 0 : -1;
}

void
gzip_file_drop(struct gzip_file *file)
{
	if (file == NULL)
		return;
	if (file->error == 0)
		file->error = ECANCELED;
	(void)gzip_file_close(file);
}
