#include "tests/unit/engine/download.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace dlhandoff::test {

tcp_pair::tcp_pair() {
    const file_descriptor listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener.get(), generic, size) != 0 || ::listen(listener.get(), 1) != 0 ||
        ::getsockname(listener.get(), generic, &size) != 0)
        throw_errno("listen");
    client.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int small = 64 * 1024; // so that "the client doesn't read" is soon felt
    ::setsockopt(client.get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    if (::connect(client.get(), generic, size) != 0)
        throw_errno("connect");
    server.reset(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!server)
        throw_errno("accept4");
}

sample_file::sample_file(std::size_t size) {
    // On disk, not in /tmp's possible tmpfs: page cache residency is part of what is tested.
    path_ = "/var/tmp/dlhandoff-test-XXXXXX";
    const file_descriptor file(::mkstemp(path_.data()));
    if (!file)
        throw_errno("mkstemp");
    content_.resize(size);
    for (std::size_t i = 0; i < size; ++i)
        content_[i] = static_cast<char>((i * 7 + i / 251) & 0xff);
    for (std::size_t done = 0; done < size;) {
        const ssize_t written = ::write(file.get(), content_.data() + done, size - done);
        if (written <= 0)
            throw_errno("write");
        done += static_cast<std::size_t>(written);
    }
    ::fsync(file.get());
}

sample_file::~sample_file() {
    ::unlink(path_.c_str());
}

file_identity sample_file::identity() const {
    return file_identity::of(open().get()).value();
}

file_descriptor sample_file::open() const {
    return file_descriptor(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
}

void sample_file::append(std::string_view bytes) const {
    const file_descriptor file(::open(path_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
    if (::write(file.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
        throw_errno("write");
}

void sample_file::touch() const {
    const timespec times[2] = {{0, UTIME_OMIT}, {1'000'000'000, 5}};
    if (::utimensat(AT_FDCWD, path_.c_str(), times, 0) != 0)
        throw_errno("utimensat");
}

void sample_file::shorten(std::size_t size) const {
    if (::truncate(path_.c_str(), static_cast<off_t>(size)) != 0)
        throw_errno("truncate");
}

std::span<const std::byte> bytes_of(std::string_view text) noexcept {
    return std::as_bytes(std::span(text.data(), text.size()));
}

offer make_offer(std::string_view head, const sample_file& file, std::vector<plan_piece> pieces,
                 const return_terms& back, const reading_terms& reading) {
    if (pieces.empty()) {
        if (!head.empty())
            pieces.push_back({plan_piece::source::memory, 0, 0, head.size()});
        pieces.push_back({plan_piece::source::file, 0, 0, file.content().size()});
    }
    const file_identity identity = file.identity();
    request_facts facts;
    facts.client = facts.client_key = "127.0.0.1";
    facts.method = "GET";
    facts.uri = "/sample";
    auto made = offer::make(facts, {&identity, 1}, pieces, bytes_of(head), nullptr, back, {}, reading);
    if (std::holds_alternative<refusal>(made))
        throw std::runtime_error("offer: " + std::string(name(std::get<refusal>(made))));
    return std::get<offer>(std::move(made));
}

readable_log::readable_log() : file_(::memfd_create("transfer-log", MFD_CLOEXEC)) {
    if (!file_)
        throw_errno("memfd_create");
}

engine::transfer_log readable_log::writer() const {
    return engine::transfer_log(file_descriptor::duplicate_of(file_.get()));
}

running_engine::running_engine(engine::engine_options options)
    : engine(loop, std::move(options), log_.writer()) {
    std::signal(SIGPIPE, SIG_IGN); // sendfile(2) has no MSG_NOSIGNAL: as the programs around the engine do
}

void running_engine::begin(offer offered, std::vector<file_descriptor> descriptors) {
    auto ready = engine.prepare(std::move(offered), std::move(descriptors));
    if (std::holds_alternative<refusal>(ready))
        FAIL() << "refused: " << name(std::get<refusal>(ready));
    engine.begin(std::get<engine::engine::prepared>(std::move(ready)));
}

bool running_engine::run_until(const std::function<bool()>& done, std::chrono::seconds within) {
    const auto limit = engine::clock::now() + within;
    engine.run_turns();
    while (!done()) {
        if (engine::clock::now() > limit)
            return false;
        // A short wait at most: what `done` looks at may change without an event of the engine's.
        loop.run_once(std::min(engine.next_deadline(), loop.now() + std::chrono::milliseconds(2)));
        engine.run_turns();
    }
    return true;
}

std::vector<std::string> readable_log::lines() const {
    struct stat status {};
    ::fstat(file_.get(), &status);
    std::string text(static_cast<std::size_t>(status.st_size), '\0');
    if (::pread(file_.get(), text.data(), text.size(), 0) != status.st_size)
        throw_errno("pread");
    std::vector<std::string> lines;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = text.find('\n', at);
        lines.push_back(text.substr(at, end - at));
        at = end + 1;
    }
    return lines;
}

bool read_available(int socket, std::string& into, std::size_t most) {
    char buffer[65536];
    while (most > 0) {
        const ssize_t got = ::recv(socket, buffer, std::min(sizeof buffer, most), MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN)
            return true;
        if (got <= 0)
            return false;
        into.append(buffer, static_cast<std::size_t>(got));
        most -= static_cast<std::size_t>(got);
    }
    return true;
}

} // namespace dlhandoff::test
