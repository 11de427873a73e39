#include "tests/integration/harness/fake_manager.hpp"

#include "shared/unix_address.hpp"

#include <array>
#include <cerrno>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace dlhandoff::test {
namespace {

constexpr std::uint32_t slots = 1024;
constexpr int poll_milliseconds = 20;

} // namespace

bool fake_manager::peer::wait_for(int descriptor, short events) const {
    while (!stopping_) {
        pollfd one{descriptor, events, 0};
        if (::poll(&one, 1, poll_milliseconds) > 0)
            return true;
    }
    return false;
}

void fake_manager::peer::say(std::span<const std::byte> bytes, std::span<const int> descriptors) const {
    (void)send_message(socket_.get(), bytes, descriptors);
}

void fake_manager::peer::say_hello() const {
    hello greeting;
    greeting.manager_pid = static_cast<std::uint32_t>(::getpid());
    greeting.slot = slot_;
    greeting.epoch = board_.epoch();
    const int memory = board_.descriptor();
    say(encode(greeting), {&memory, 1});
}

std::optional<fake_manager::offered> fake_manager::peer::next_offer() {
    while (socket_ && wait_for(socket_.get(), POLLIN)) {
        const auto result = receive_message(socket_.get(), max_offer_size, message_);
        if (result == receive_result::would_block)
            continue;
        if (result != receive_result::message)
            return std::nullopt;
        auto decoded = offer::decode(message_.bytes);
        if (auto* what = std::get_if<offer>(&decoded))
            return offered{std::move(*what), std::move(message_.descriptors)};
        return std::nullopt;
    }
    return std::nullopt;
}

bool fake_manager::peer::claim(const offered& one) const {
    return claim_ticket(board_.slot(slot_), one.what.claim_ticket().sequence);
}

void fake_manager::peer::answer(const offered& one, bool claimed, refusal reason) const {
    say(encode(dlhandoff::answer{one.what.claim_ticket().sequence, claimed, reason}));
}

void fake_manager::peer::send_response(const offered& one) const {
    const int client = one.descriptors.front().get();
    std::array<char, 65536> buffer;
    const auto send_all = [&](const char* bytes, std::size_t size) {
        while (size > 0) {
            const ssize_t sent = ::send(client, bytes, size, MSG_NOSIGNAL);
            if (sent < 0 && errno == EAGAIN && wait_for(client, POLLOUT))
                continue;
            if (sent < 0)
                return false;
            bytes += sent;
            size -= static_cast<std::size_t>(sent);
        }
        return true;
    };
    for (const plan_piece& piece : one.what.pieces()) {
        if (piece.from == plan_piece::source::memory) {
            const auto* from = reinterpret_cast<const char*>(one.what.memory().data()) + piece.offset;
            if (!send_all(from, static_cast<std::size_t>(piece.length)))
                return;
            continue;
        }
        for (std::uint64_t done = 0; done < piece.length;) {
            const ssize_t got = ::pread(one.descriptors[1 + piece.file].get(), buffer.data(),
                                        std::min<std::uint64_t>(buffer.size(), piece.length - done),
                                        static_cast<off_t>(piece.offset + done));
            if (got <= 0 || !send_all(buffer.data(), static_cast<std::size_t>(got)))
                return;
            done += static_cast<std::uint64_t>(got);
        }
    }
    ::shutdown(client, SHUT_WR);
}

void fake_manager::peer::stay_silent() {
    while (socket_ && wait_for(socket_.get(), POLLIN)) {
        const auto result = receive_message(socket_.get(), max_offer_size, message_);
        if (result == receive_result::peer_gone || result == receive_result::failed)
            return;
    }
}

fake_manager::fake_manager(const std::string& path, behaviour act)
    : act_(std::move(act)), path_(path), board_(board::create(slots)),
      listener_(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)) {
    manager_status& status = board_.manager(0);
    status.pid = static_cast<std::uint32_t>(::getpid());
    status.room = room_level::plenty;
    status.heartbeat = manager_status::asleep;
    status.state = manager_state::live;
    ::unlink(path.c_str());
    if (!listener_ || !unix_address::of(path).value().bind(listener_.get()) ||
        ::chmod(path.c_str(), 0666) < 0 || ::listen(listener_.get(), 128) < 0)
        throw_errno("listen(fake manager's socket)");
    accepting_ = std::thread([this] { accept_all(); });
}

fake_manager::~fake_manager() {
    stopping_ = true;
    accepting_.join();
    for (std::thread& one : peers_)
        one.join();
    listener_.reset();
    ::unlink(path_.c_str());
}

void fake_manager::accept_all() {
    while (!stopping_) {
        pollfd one{listener_.get(), POLLIN, 0};
        if (::poll(&one, 1, poll_milliseconds) <= 0)
            continue;
        file_descriptor accepted(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!accepted)
            continue;
        const std::uint32_t slot = connections_++ % slots;
        peers_.emplace_back([this, slot, socket = std::move(accepted)]() mutable {
            peer worker(std::move(socket), board_, slot, stopping_);
            act_(worker);
        });
    }
}

} // namespace dlhandoff::test
