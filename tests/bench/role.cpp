#include "tests/bench/role.hpp"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <poll.h>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace dlhandoff::bench {
namespace {

std::pair<file_descriptor, file_descriptor> make_pair_of_sockets() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        throw_errno("socketpair");
    const timeval limit{patience_seconds, 0};
    for (const int end : ends)
        ::setsockopt(end, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return {file_descriptor(ends[0]), file_descriptor(ends[1])};
}

[[noreturn]] void play_and_exit(const std::string& name, const role::part& play, file_descriptor socket) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    int status = EXIT_SUCCESS;
    try {
        channel parent(std::move(socket));
        play(parent);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s: %s\n", name.c_str(), error.what());
        status = EXIT_FAILURE;
    }
    ::_exit(status);
}

} // namespace

bool channel::heard() const {
    pollfd one{socket_.get(), POLLIN, 0};
    return ::poll(&one, 1, 0) == 1;
}

void channel::send(std::span<const std::byte> bytes) const {
    if (::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0)
        throw_errno("send to another part");
}

void channel::receive(std::span<std::byte> bytes) const {
    ssize_t got;
    do {
        got = ::recv(socket_.get(), bytes.data(), bytes.size(), 0);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        throw_errno("wait for another part");
    if (static_cast<std::size_t>(got) != bytes.size())
        throw std::runtime_error("another part of the benchmark has ended");
}

role::role(std::string name, const part& play) : name_(std::move(name)), channel_(file_descriptor()) {
    auto [ours, theirs] = make_pair_of_sockets();
    std::fflush(stdout);
    pid_ = ::fork();
    if (pid_ < 0)
        throw_errno("fork");
    if (pid_ == 0) {
        ours.reset();
        play_and_exit(name_, play, std::move(theirs));
    }
    channel_ = channel(std::move(ours));
}

role::~role() {
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
}

} // namespace dlhandoff::bench
