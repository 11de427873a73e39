// What a TLS client sends after its handoff: sealed_channel reads it from a TCP socket. Few inputs would get
// past authentication by luck, so most of an input is content that the harness seals with the client's key;
// the rest goes to the socket as it is.
//
// An input: one byte that chooses the suite, then steps until it ends (tls_read_input.hpp).

#include "engine/client/sealed_channel.hpp"
#include "shared/file_descriptor.hpp"
#include "tests/fuzz/tls_read_input.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <optional>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <vector>

namespace {

using namespace dlhandoff;
using namespace dlhandoff::engine;
using fuzz::tls_read_step;
using heard = tls_input::heard;

// Not assert(): it must hold in every build type.
void require(bool holds) {
    if (!holds)
        std::abort();
}

/// One connection over loopback for all inputs: a new one each time would leave thousands in TIME_WAIT. TCP,
/// since other stream sockets don't drop bytes with MSG_TRUNC.
struct connection {
    file_descriptor client, manager;
    std::size_t unread = 0; ///< bytes that the manager's end has, or is about to have

    connection() {
        const file_descriptor listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* const generic = reinterpret_cast<sockaddr*>(&address);
        client.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        require(::bind(listener.get(), generic, size) == 0 && ::listen(listener.get(), 1) == 0 &&
                ::getsockname(listener.get(), generic, &size) == 0 &&
                ::connect(client.get(), generic, size) == 0);
        manager.reset(::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        require(static_cast<bool>(manager));
        const int at_once = 1;
        ::setsockopt(client.get(), IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
    }

    void send(std::span<const std::uint8_t> bytes) {
        if (bytes.empty())
            return;
        require(::send(client.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
                static_cast<ssize_t>(bytes.size()));
        unread += bytes.size();
        while (waiting() < unread) // loopback delivers at once, unless the machine is busy
            ;
    }
    [[nodiscard]] std::size_t waiting() const {
        int bytes = 0;
        require(::ioctl(manager.get(), FIONREAD, &bytes) == 0);
        return static_cast<std::size_t>(bytes);
    }
    void drain() {
        while (::recv(manager.get(), nullptr, 1U << 20, MSG_TRUNC | MSG_DONTWAIT) > 0)
            ;
        unread = 0;
    }
};

constexpr std::array<std::pair<std::uint16_t, std::uint16_t>, 5> suites{
    {{tls13, 0x1301}, {tls13, 0x1302}, {tls13, 0x1303}, {tls12, 0xc02f}, {tls12, 0xcca8}}};

/// Both ends' keys, and what the client's end has done so far.
class conversation {
  public:
    explicit conversation(const tls_session& session)
        : tls13_(session.version == tls13), channel_(session),
          sending_(*find_tls_suite(session.version, session.suite), session.read_secret,
                   session.read_sequence),
          receiving_(sending_.suite(), session.write_secret, session.write_sequence) {}

    /// Seals a record; what it must come out as goes to `sealed_said`.
    std::vector<std::uint8_t> seal(const tls_read_step& step) {
        const tls_suite& suite = sending_.suite();
        std::vector<std::uint8_t> content(step.content.begin(), step.content.end());
        content.resize(std::min<std::size_t>(content.size() + step.zeros, max_record_plaintext + 200));
        auto outer = static_cast<content_type>(step.type);
        if (tls13_ &&
            step.padding != 0) { // padding follows the type: the last zero takes its place (RFC 8446, 5.4)
            content.push_back(step.type);
            content.resize(content.size() + step.padding - 1U);
            outer = content_type{};
        }
        std::vector<std::uint8_t> record(content.size() + record_overhead(suite));
        std::ranges::copy(content, record.begin() + static_cast<std::ptrdiff_t>(record_prefix(suite)));
        cipher_.seal(sending_, sending_.sequence, outer, record);
        check_opening(record, step);
        ++sending_.sequence;
        return record;
    }

    /// Reads what has come. False once the connection must end.
    bool read(connection& on) {
        const std::uint64_t sent = channel_.wire_bytes(-1, 0);
        const bool waited = channel_.control_waits();
        const std::size_t before = on.waiting();
        const heard said = channel_.read(on.manager.get(), place_);
        require(said <= heard::failed);
        on.unread = on.waiting();
        require(on.unread <= before && channel_.wire_bytes(-1, 0) == sent);
        require(!waited || channel_.control_waits());
        if (said != heard::nothing_new)
            return false;
        require(on.unread < max_record_size); // half a record at most has been left
        return true;
    }

    void note_update(const tls_read_step& step) {
        constexpr std::array<std::uint8_t, 4> update{24, 0, 0, 1};
        if (tls13_ && step.type == 22 && step.zeros + step.content.size() == 5 && step.content.size() >= 4 &&
            std::equal(update.begin(), update.end(), step.content.begin()) &&
            (step.content.size() == 4 || step.content[4] <= 1))
            sending_.update();
    }

    /// Sends what the channel has to say: at most one record, which the client can open.
    void answer() {
        const bool waits = channel_.control_waits();
        sealed_channel::batch batch(channel_, place_);
        batch.add_control();
        const auto bytes = batch.unsent();
        require(waits == !bytes.empty());
        if (bytes.empty())
            return;
        std::vector<std::uint8_t> record(bytes.begin(), bytes.end());
        require(batch.sent(bytes.size()) == 0 && channel_.all_sent());
        require(record.size() == record_header_size + (std::size_t{record[3]} << 8 | record[4]));
        const auto opened = cipher_.open(receiving_, receiving_.sequence++, record);
        require(opened.has_value());
        if (tls13_) {
            require(opened->type == content_type::handshake && opened->plaintext.size() == 5);
            receiving_.update();
        } else {
            require(opened->type == content_type::alert && opened->plaintext.size() == 2);
        }
    }

  private:
    /// Whatever was sealed comes out again, unless it is longer than a record may be, or has no type.
    void check_opening(std::span<const std::uint8_t> record, const tls_read_step& step) {
        std::vector<std::uint8_t> copy(record.begin(), record.end());
        const auto opened = cipher_.open(sending_, sending_.sequence, copy);
        const std::size_t size =
            std::min<std::size_t>(step.content.size() + step.zeros, max_record_plaintext + 200);
        if (size > max_record_plaintext || (tls13_ && step.type == 0)) {
            require(!opened || (tls13_ && step.type == 0));
            return;
        }
        require(opened && static_cast<std::uint8_t>(opened->type) == step.type &&
                opened->plaintext.size() == size);
        require(std::equal(step.content.begin(), step.content.end(), opened->plaintext.begin()));
        copy.assign(record.begin(), record.end());
        const std::size_t prefix = record_prefix(sending_.suite());
        copy[prefix + step.content.size() * 7 % (copy.size() - prefix)] ^= 1;
        require(!cipher_.open(sending_, sending_.sequence, copy));
    }

    bool tls13_;
    sealed_channel channel_;
    traffic_key sending_, receiving_;
    record_cipher cipher_;
    static tls_workplace place_;
};

tls_workplace conversation::place_;

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static connection on;
    std::span<const std::uint8_t> input(data, size);
    if (input.empty())
        return 0;
    const auto& [version, number] = suites[input[0] % suites.size()];
    tls_session session;
    session.version = version;
    session.suite = number;
    session.write_secret.fill(1);
    session.read_secret.fill(2);
    session.read_sequence = input[0];
    conversation talk(session);
    input = input.subspan(1);
    std::size_t sent = 0;
    bool goes_on = true;
    while (goes_on && sent < 100'000) {
        const auto step = fuzz::next_step(input);
        if (!step)
            break;
        std::vector<std::uint8_t> bytes(step->content.begin(), step->content.end());
        if (step->how != tls_read_step::raw) {
            bytes = talk.seal(*step);
            talk.note_update(*step);
        }
        sent += bytes.size();
        // The step says where the bytes are cut in two segments.
        const std::size_t cut = std::min<std::size_t>(step->cut, bytes.size());
        on.send(std::span(bytes).first(cut));
        if (cut != 0)
            goes_on = talk.read(on);
        on.send(std::span(bytes).subspan(cut));
        goes_on = goes_on && talk.read(on);
        if (goes_on && step->how == tls_read_step::sealed_then_answered)
            talk.answer();
    }
    on.drain();
    return 0;
}
