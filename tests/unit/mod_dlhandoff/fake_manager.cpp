#include "tests/unit/mod_dlhandoff/fake_manager.hpp"

#include "shared/offer.hpp"
#include "shared/unix_address.hpp"

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <poll.h>
#include <stdexcept>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

namespace dlhandoff::httpd::test {
namespace {

constexpr std::uint32_t board_slots = 64;

file_descriptor listen_at(const std::string& path) {
    ::unlink(path.c_str());
    file_descriptor socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket || !unix_address::of(path).value().bind(socket.get()) || ::listen(socket.get(), 64) < 0)
        throw_errno(path.c_str());
    return socket;
}

template <class Message>
void say(int socket, const Message& message, std::span<const int> descriptors = {}) {
    if (send_message(socket, message, descriptors) != send_result::sent && errno != EPIPE)
        throw_errno("fake manager: sendmsg");
}

} // namespace

socket_directory::socket_directory() {
    std::string name = (std::filesystem::temp_directory_path() / "dlhandoff-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr)
        throw_errno("mkdtemp");
    path_ = name;
}

socket_directory::~socket_directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

fake_manager::fake_manager(const std::string& path, to_worker greeting, std::uint32_t managers)
    : board_(board::create(board_slots, managers)), listener_(listen_at(path)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), greeting_(greeting) {
    for (std::uint32_t index = 0; index < managers; ++index) {
        manager_status& status = board_.manager(index);
        status.pid = static_cast<std::uint32_t>(::getpid());
        status.room = room_level::plenty;
        status.heartbeat = manager_status::asleep;
        status.state = manager_state::live;
    }
    thread_ = std::thread([this] { run(); });
}

fake_manager::~fake_manager() {
    ending_ = true;
    ::eventfd_write(wake_.get(), 1);
    thread_.join();
}

void fake_manager::release() {
    releasing_ = true;
    ::eventfd_write(wake_.get(), 1);
}

void fake_manager::hang_up(std::uint32_t manager) {
    hanging_up_ = manager;
    ::eventfd_write(wake_.get(), 1);
    while (hanging_up_ >= 0)
        std::this_thread::yield();
}

std::map<std::pair<std::uint32_t, std::uint64_t>, bool> fake_manager::claims() const {
    const std::lock_guard lock(mutex_);
    return claims_;
}

void fake_manager::run() {
    while (!ending_) {
        open_ = sessions_.size();
        std::vector<pollfd> watched{{wake_.get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}};
        for (const auto& one : sessions_)
            watched.push_back({one->socket.get(), POLLIN, 0});
        ::poll(watched.data(), watched.size(), -1);
        eventfd_t count = 0;
        ::eventfd_read(wake_.get(), &count); // before looking at what was asked for: no wake-up is lost
        for (std::size_t i = sessions_.size(); i-- > 0;)
            if (watched[i + 2].revents != 0 && !take_offer(*sessions_[i]))
                sessions_.erase(sessions_.begin() + static_cast<std::ptrdiff_t>(i));
        if (const auto one = hanging_up_.load(); one >= 0) {
            std::erase_if(sessions_, [one](const auto& worker) { return worker->manager == one; });
            hanging_up_ = -1;
        }
        if (watched[1].revents != 0)
            accept_one();
        if (releasing_.exchange(false)) {
            for (const auto& one : sessions_) {
                if (!one->greeted)
                    greet(*one);
                if (one->hanging != 0) {
                    const bool claimed = one->claimed || claim(*one, one->hanging);
                    say(one->socket.get(), encode(answer{one->hanging, claimed, refusal::ticket}));
                }
                one->hanging = 0;
            }
        }
    }
    sessions_.clear();
}

void fake_manager::accept_one() {
    file_descriptor socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!socket)
        return;
    auto worker = std::make_unique<session>();
    worker->socket = std::move(socket);
    worker->manager = greeter_;
    if (greeting_ == to_worker::closes) {
        ++accepted_;
        greeting_ = to_worker::greets;
        return;
    }
    if (greeting_ == to_worker::turns_away) {
        ++accepted_;
        return say(worker->socket.get(), encode(answer{0, false, refusal::full}));
    }
    worker->slot =
        board_.first_slot_of(worker->manager) + static_cast<std::uint32_t>(accepted_++) % board_slots;
    if (greeting_ == to_worker::greets_and_regrets)
        ::shutdown(worker->socket.get(), SHUT_RD); // no offer comes in between
    if (greeting_ != to_worker::says_nothing)
        greet(*worker);
    if (greeting_ == to_worker::greets_and_regrets)
        return say(worker->socket.get(), encode(answer{0, false, refusal::full}));
    sessions_.push_back(std::move(worker));
}

void fake_manager::greet(session& worker) {
    worker.greeted = true;
    hello greeting;
    greeting.manager_pid = static_cast<std::uint32_t>(::getpid());
    greeting.slot = worker.slot;
    greeting.index = worker.manager;
    greeting.epoch = board_.epoch();
    auto message = encode(greeting);
    if (greeting_ == to_worker::greets_in_another_version) {
        message_header header;
        std::memcpy(&header, message.data(), sizeof header);
        ++header.version;
        std::memcpy(message.data(), &header, sizeof header);
    }
    if (greeting_ == to_worker::brings_no_board)
        return say(worker.socket.get(), message);
    const file_descriptor unsealed(
        greeting_ == to_worker::brings_another_board ? ::memfd_create("other", MFD_CLOEXEC) : -1);
    const int memory = unsealed.valid() ? unsealed.get() : board_.descriptor();
    say(worker.socket.get(), message, {&memory, 1});
}

bool fake_manager::claim(const session& worker, std::uint64_t sequence) {
    const bool won = claim_ticket(board_.slot(worker.slot), sequence);
    const std::lock_guard lock(mutex_);
    claims_[{worker.slot, sequence}] = won;
    return won;
}

bool fake_manager::take_offer(session& worker) {
    received_message message;
    const auto result = receive_message(worker.socket.get(), max_offer_size, message);
    if (result == receive_result::would_block)
        return true;
    if (result != receive_result::message)
        return false;
    ++offers_;
    ++offers_to_[worker.manager];
    descriptors_ = message.descriptors.size();
    const auto decoded = offer::decode(message.bytes);
    if (!std::holds_alternative<offer>(decoded))
        throw std::logic_error("fake manager: the offer can't be read");
    const ticket named = std::get<offer>(decoded).claim_ticket();
    const int socket = worker.socket.get();
    const auto answer_claim = [&] {
        say(socket, encode(answer{named.sequence, claim(worker, named.sequence), refusal::ticket}));
    };
    constexpr std::array<std::byte, 5> garbage{};
    switch (reactions_[worker.manager].load()) {
    case to_offer::claims_late: {
        random_ = random_ * 1664525 + 1013904223;
        const auto most = static_cast<std::uint32_t>(lateness_.load().count());
        const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(random_ % (most + 1));
        while (std::chrono::steady_clock::now() < until)
            std::this_thread::yield();
        answer_claim();
        return true;
    }
    case to_offer::claims:
        answer_claim();
        return true;
    case to_offer::refuses:
        say(socket, encode(answer{named.sequence, false, refusal::full}));
        return true;
    case to_offer::stops:
        say(socket, encode(answer{0, false, refusal::stopping}));
        board_.manager(worker.manager).state = manager_state::draining;
        hanging_up_ = worker.manager;
        return true;
    case to_offer::refuses_unnumbered:
        say(socket, encode(answer{0, false, refusal::malformed}));
        return true;
    case to_offer::hangs:
        worker.hanging = named.sequence;
        worker.claimed = false;
        return true;
    case to_offer::claims_and_hangs:
        worker.hanging = named.sequence;
        worker.claimed = claim(worker, named.sequence);
        return true;
    case to_offer::claims_and_closes:
        (void)claim(worker, named.sequence);
        return false;
    case to_offer::answers_and_closes:
        answer_claim();
        return false;
    case to_offer::claims_and_answers_garbage:
        (void)claim(worker, named.sequence);
        say(socket, garbage);
        return true;
    case to_offer::answers_garbage:
        say(socket, garbage);
        return true;
    }
    return false;
}

} // namespace dlhandoff::httpd::test
