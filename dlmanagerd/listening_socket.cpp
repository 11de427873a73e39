#include "dlmanagerd/listening_socket.hpp"

#include "shared/unix_address.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <stdexcept>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace dlhandoff::service {
namespace {

constexpr mode_t socket_mode = 0660;
constexpr mode_t lock_mode = 0600;

[[noreturn]] void fail(const std::string& what, int error) {
    throw std::runtime_error(what + ": " + std::strerror(error));
}

/// What lies at `path` itself, links not followed.
std::optional<struct stat> look_at(const std::string& path) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) < 0)
        return std::nullopt;
    return status;
}

unix_address address_of(const std::string& path) {
    const auto address = unix_address::of(path);
    if (!address)
        fail("cannot listen at " + path, errno);
    return *address;
}

file_descriptor make_socket(int type) {
    file_descriptor made(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!made)
        throw_errno("socket(AF_UNIX)");
    return made;
}

} // namespace

listening_socket::listening_socket(const std::string& path, std::string way_out, int type)
    : path_(path), lock_path_(path + ".lock"), way_out_(std::move(way_out)), type_(type) {
    take_lock();
    try {
        remove_stale();
        bind_and_listen();
    } catch (...) {
        ::unlink(lock_path_.c_str());
        throw;
    }
}

void listening_socket::refuse_live() const {
    throw std::runtime_error("a process listens at " + path_ +
                             " already and goes on undisturbed; stop it first, or " + way_out_);
}

void listening_socket::take_lock() {
    for (;;) {
        lock_.reset(::open(lock_path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, lock_mode));
        if (!lock_)
            fail("cannot open " + lock_path_ +
                     " (its directory must exist, and both be this user's to write)",
                 errno);
        while (::flock(lock_.get(), LOCK_EX | LOCK_NB) < 0) {
            if (errno == EWOULDBLOCK)
                refuse_live();
            if (errno != EINTR)
                fail("cannot lock " + lock_path_, errno);
        }
        // Its last holder may have removed the file between our open() and flock(): then the lock is of no
        // use.
        struct stat held {};
        const auto named = look_at(lock_path_);
        if (named && ::fstat(lock_.get(), &held) == 0 && held.st_ino == named->st_ino &&
            held.st_dev == named->st_dev)
            return;
    }
}

void listening_socket::remove_stale() const {
    const auto found = look_at(path_);
    if (!found) {
        if (errno == ENOENT)
            return;
        fail("cannot look at " + path_, errno);
    }
    if (!S_ISSOCK(found->st_mode))
        throw std::runtime_error(path_ + " exists and is not a socket; it is left alone: remove it, or " +
                                 way_out_);
    // Whoever listens there without our lock shows by accepting, by a full backlog (EAGAIN) or by another
    // type (EPROTOTYPE); only a refused connection says that nobody does.
    const unix_address address = address_of(path_);
    const file_descriptor probe = make_socket(type_);
    if (address.connect(probe.get()) || errno == EAGAIN || errno == EPROTOTYPE)
        refuse_live();
    if (errno != ECONNREFUSED)
        fail("cannot tell whether a process listens at " + path_, errno);
    if (::unlink(path_.c_str()) < 0)
        fail("cannot remove " + path_ + ", which a dead manager has left", errno);
}

void listening_socket::bind_and_listen() {
    socket_ = make_socket(type_);
    const unix_address address = address_of(path_);
    // bind() makes the file with the socket's own mode, less the umask: so nobody else can connect, not even
    // for a moment. What the umask took is given back afterwards.
    if (::fchmod(socket_.get(), socket_mode) < 0)
        throw_errno("fchmod(socket)");
    if (!address.bind(socket_.get()))
        fail("cannot make the socket " + path_, errno);
    const auto made = look_at(path_);
    if (!made)
        fail("cannot look at " + path_, errno);
    device_ = made->st_dev;
    inode_ = made->st_ino;
    if (::chmod(path_.c_str(), socket_mode) < 0 || ::listen(socket_.get(), SOMAXCONN) < 0) {
        const int error = errno;
        ::unlink(path_.c_str());
        fail("cannot listen at " + path_, error);
    }
}

listening_socket::~listening_socket() {
    const auto named = look_at(path_);
    if (named && named->st_ino == inode_ && named->st_dev == device_)
        ::unlink(path_.c_str());
    socket_.reset();
    // Under the lock, and before it is let go: see take_lock().
    ::unlink(lock_path_.c_str());
}

} // namespace dlhandoff::service
