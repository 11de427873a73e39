#include "tests/bench/sample.hpp"

#include <algorithm>
#include <fcntl.h>
#include <stdexcept>
#include <string>
#include <unistd.h>
#include <vector>

namespace dlhandoff::bench {

sample::sample(std::uint64_t size) : file_(::open("/var/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600)) {
    if (!file_)
        throw_errno("open(/var/tmp, O_TMPFILE)");
    std::vector<char> block(1 << 20);
    for (std::size_t i = 0; i < block.size(); ++i)
        block[i] = static_cast<char>(i * 131 + i / 257);
    for (std::uint64_t done = 0; done < size;) {
        const ssize_t written =
            ::write(file_.get(), block.data(), std::min<std::uint64_t>(block.size(), size - done));
        if (written <= 0)
            throw_errno("write(/var/tmp)");
        done += static_cast<std::uint64_t>(written);
    }
    ::fsync(file_.get()); // so that writing back doesn't go on while something is measured
    identity_ = file_identity::of(file_.get()).value();
}

const std::string_view typical_head = "HTTP/1.1 200 OK\r\n"
                                      "Date: Sat, 01 Aug 2026 12:00:00 GMT\r\n"
                                      "Server: Apache/2.4.71 (Debian)\r\n"
                                      "Last-Modified: Fri, 31 Jul 2026 12:00:00 GMT\r\n"
                                      "ETag: \"40000000-63b1c2d3e4f50\"\r\n"
                                      "Accept-Ranges: bytes\r\n"
                                      "Content-Length: 1073741824\r\n"
                                      "Connection: close\r\n"
                                      "Content-Type: application/octet-stream\r\n"
                                      "\r\n";

offer typical_offer(const file_identity& file, std::uint64_t times, const tls_session* tls) {
    request_facts facts;
    facts.client = facts.client_key = "203.0.113.195";
    facts.vhost = "downloads.example.org";
    facts.method = "GET";
    facts.uri = "/releases/2026/distribution-12.4-amd64.iso?mirror=3";
    std::vector<plan_piece> pieces{{plan_piece::source::memory, 0, 0, typical_head.size()}};
    pieces.resize(1 + times, {plan_piece::source::file, 0, 0, file.size});
    auto made = offer::make(facts, {&file, 1}, pieces, std::as_bytes(std::span(typical_head)), tls);
    if (const auto* const reason = std::get_if<refusal>(&made))
        throw std::runtime_error("the sample offer is " + std::string(name(*reason)));
    return std::get<offer>(std::move(made));
}

tls_session made_up_session() {
    tls_session session;
    session.version = 0x0304;
    session.suite = 0x1302;
    session.write_secret.fill(1);
    session.read_secret.fill(2);
    return session;
}

} // namespace dlhandoff::bench
