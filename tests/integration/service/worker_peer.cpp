#include "tests/integration/service/worker_peer.hpp"

#include "shared/unix_address.hpp"
#include "tests/integration/harness/temporary_directory.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdexcept>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>
#include <variant>

namespace dlhandoff::test {
namespace {

/// The next message from the manager; nothing at the connection's end.
std::optional<received_message> receive(int socket, std::chrono::milliseconds within) {
    pollfd one{socket, POLLIN, 0};
    if (::poll(&one, 1, static_cast<int>(within.count())) != 1)
        throw std::runtime_error("the manager says nothing");
    received_message message;
    auto result = receive_message(socket, max_offer_size, message);
    // A manager that ends with an offer unread resets the connection: that is heard before its last word.
    if (result == receive_result::peer_gone)
        result = receive_message(socket, max_offer_size, message);
    switch (result) {
    case receive_result::message:
        return message;
    case receive_result::peer_gone:
        return std::nullopt;
    default:
        throw_errno("recvmsg(manager)");
    }
}

std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span(text));
}

std::string head_for(std::uint64_t length) {
    return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(length) + "\r\nConnection: close\r\n\r\n";
}

file_descriptor listen_on_loopback() {
    file_descriptor listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (!listener ||
        ::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0 ||
        ::listen(listener.get(), 1) < 0)
        throw_errno("listen(127.0.0.1)");
    return listener;
}

std::uint16_t port_of(int socket) {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    if (::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) < 0)
        throw_errno("getsockname");
    return ntohs(address.sin_port);
}

} // namespace

worker_peer::worker_peer(file_descriptor socket, const hello& greeting, board the_board)
    : socket_(std::move(socket)), greeting_(greeting), board_(std::move(the_board)) {}

std::optional<worker_peer> worker_peer::try_connect(const std::string& path) {
    file_descriptor socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    if (!socket || !unix_address::of(path).value().connect(socket.get()))
        throw_errno("connect(manager)");
    auto message = receive(socket.get(), 10s);
    if (!message)
        return std::nullopt;
    if (const auto refused = decode_answer(message->bytes))
        throw std::runtime_error("turned away: " + std::string(name(refused->reason)));
    const auto greeting = decode_hello(message->bytes);
    if (!greeting || message->descriptors.size() != 1)
        throw std::runtime_error("the manager's first message is no hello with a board");
    auto the_board = board::attach(std::move(message->descriptors.front()));
    if (!the_board || greeting->slot >= the_board->slots() || greeting->index >= the_board->managers())
        throw std::runtime_error("the manager's board is none");
    return worker_peer(std::move(socket), *greeting, std::move(*the_board));
}

worker_peer::worker_peer(const std::string& path)
    : worker_peer([&path] {
          auto connected = try_connect(path);
          if (!connected)
              throw std::runtime_error("the manager has closed the connection before its hello");
          return std::move(*connected);
      }()) {}

std::uint64_t worker_peer::refusals(refusal reason) const noexcept {
    return counters().refusals[static_cast<std::size_t>(reason)].load();
}

std::uint64_t worker_peer::take_ticket(offer& what) noexcept {
    const std::uint64_t sequence = offer_ticket(board_.slot(greeting_.slot));
    what.set_ticket({greeting_.slot, sequence});
    return sequence;
}

bool worker_peer::revoke(std::uint64_t sequence) noexcept {
    return revoke_ticket(board_.slot(greeting_.slot), sequence);
}

std::uint64_t worker_peer::send(offer& what, std::span<const int> descriptors) {
    const std::uint64_t sequence = take_ticket(what);
    send_bytes(what.message(), descriptors);
    return sequence;
}

void worker_peer::send_bytes(std::span<const std::byte> bytes, std::span<const int> descriptors) {
    // An offer under way at most: there is always room for one more message.
    if (send_message(socket_.get(), bytes, descriptors) != send_result::sent)
        throw_errno("sendmsg(manager)");
}

std::optional<answer> worker_peer::next_answer(std::chrono::milliseconds within) {
    const auto message = receive(socket_.get(), within);
    if (!message)
        return std::nullopt;
    const auto said = decode_answer(message->bytes);
    if (!said)
        throw std::runtime_error("the manager's message is no answer");
    return said;
}

open_download::open_download(const std::string& path, int receive_buffer)
    : open_download(listen_on_loopback().get(), path, receive_buffer) {}

// The listener is the caller's temporary: it lives until this has returned.
open_download::open_download(int listener, const std::string& path, int receive_buffer)
    : client("127.0.0.1", port_of(listener), receive_buffer),
      connection(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)),
      file(::open(path.c_str(), O_RDONLY | O_CLOEXEC)), path_(path) {
    if (!connection || !file)
        throw_errno("accept or open");
}

offer open_download::make_offer(std::string_view for_client, std::string_view transfer_class) const {
    const file_identity identity = file_identity::of(file.get()).value();
    const std::string head = head_for(identity.size);
    const plan_piece pieces[] = {{plan_piece::source::memory, 0, 0, head.size()},
                                 {plan_piece::source::file, 0, 0, identity.size}};
    request_facts facts;
    facts.client = facts.client_key = for_client;
    facts.transfer_class = transfer_class;
    facts.vhost = "test";
    facts.method = "GET";
    facts.uri = "/document";
    auto made = offer::make(facts, {&identity, 1}, pieces, bytes_of(head));
    if (std::holds_alternative<refusal>(made))
        throw std::runtime_error("the offer does not fit: " + std::string(name(std::get<refusal>(made))));
    return std::get<offer>(std::move(made));
}

std::string open_download::response() const {
    const std::string body = read_file(path_);
    return head_for(body.size()) + body;
}

void open_download::let_go() {
    connection.reset();
    file.reset();
}

} // namespace dlhandoff::test
