// Clients at link-local IPv6 addresses, which mean nothing without their interface (RFC 4007).
#include "tests/integration/harness/site.hpp"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <optional>
#include <sched.h>
#include <sstream>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <thread>

namespace dlhandoff::test {
namespace {

constexpr std::uint64_t size = 200'000;
constexpr const char* address = "fe80::d1";

/// Of <linux/ipv6.h>, which does not go with <netinet/in.h>.
struct in6_request {
    in6_addr address;
    std::uint32_t prefix_length;
    int interface;
};

/// Puts this thread, and what it starts, into a network of its own, in which lo is up and has a link-local
/// address. What is in the way, if anything.
std::optional<std::string> enter_network() {
    if (::unshare(CLONE_NEWNET) < 0)
        return std::string("no network namespace can be made: ") + std::strerror(errno);
    const file_descriptor any4(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const file_descriptor any6(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq up{};
    std::strcpy(up.ifr_name, "lo");
    up.ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING;
    in6_request add{};
    add.prefix_length = 64;
    add.interface = static_cast<int>(::if_nametoindex("lo"));
    ::inet_pton(AF_INET6, address, &add.address);
    if (!any4 || !any6 || ::ioctl(any4.get(), SIOCSIFFLAGS, &up) < 0 ||
        ::ioctl(any6.get(), SIOCSIFADDR, &add) < 0)
        return std::string("lo takes no link-local address: ") + std::strerror(errno);
    return std::nullopt;
}

file_descriptor connect(std::uint16_t port) {
    sockaddr_in6 to{};
    to.sin6_family = AF_INET6;
    to.sin6_port = htons(port);
    to.sin6_scope_id = ::if_nametoindex("lo");
    ::inet_pton(AF_INET6, address, &to.sin6_addr);
    file_descriptor client(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    // A new address is tentative for a while (RFC 4862, 5.4).
    EXPECT_TRUE(eventually([&] {
        return ::connect(client.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
    })) << std::strerror(errno);
    return client;
}

/// The words that the log has of a request's connection.
std::vector<std::string> logged(const site& here, const std::string& probe) {
    std::vector<std::string> words;
    EXPECT_TRUE(eventually([&] {
        std::istringstream lines(read_file(here.directory() / "logs/connections.log"));
        for (std::string line; std::getline(lines, line);) {
            std::istringstream in(line);
            words.assign(std::istream_iterator<std::string>(in), {});
            if (!words.empty() && words.front() == probe)
                return true;
        }
        return false;
    })) << probe;
    return words;
}

void expect_same_on_a_returned_connection(const setup& how) {
    constexpr std::uint16_t port = 8081; // in a network of our own
    site here({.how = how, .httpd = {.configuration = R"(
Listen [::]:8081
LogFormat "%{X-Probe}i %h %a %{c}a %A %{remote}p %{local}p" connections
CustomLog logs/connections.log connections
<Location /for-us>
    Require ip fe80::/10
</Location>
<Location /for-this-one>
    Require ip fe80::d1
</Location>
<Location /for-others>
    Require ip fe80::1
</Location>
)"}});
    for (const char* name : {"for-us", "for-this-one", "for-others", "file"})
        here.add_document(name, size);
    raw_client raw{connect(port)};
    // The first one comes over a fresh connection, the others over a returned one.
    std::vector<std::string> fresh;
    for (const auto& [path, status] :
         {std::pair{"/file", 200}, std::pair{"/file", 200}, std::pair{"/for-us", 200},
          std::pair{"/for-this-one", 200}, std::pair{"/for-others", 403}}) {
        SCOPED_TRACE(path);
        const std::string probe = new_probe();
        raw.send(here.get_request(path, probe));
        const std::string head = raw.read_head();
        EXPECT_EQ(status_of(head), status);
        (void)raw.read(std::stoul(field_of(head, "Content-Length")));
        if (status == 200) {
            EXPECT_EQ(here.httpd().note_of(probe), "claimed");
            EXPECT_EQ(here.transfers().transfer(probe)->at("client"), std::string(address) + "%lo");
        }
        auto words = logged(here, probe);
        ASSERT_EQ(words.size(), 7U);
        words.erase(words.begin());
        if (fresh.empty())
            fresh = words;
        EXPECT_EQ(words, fresh);
        EXPECT_EQ(words[0], std::string(address) + "%lo");
    }
}

class link_local : public ::testing::TestWithParam<setup> {};
INSTANTIATE_FOR_SETUPS(link_local, EVERY_SETUP);

TEST_P(link_local, addresses_are_the_same_on_a_returned_connection) {
    std::optional<std::string> hindrance;
    // A namespace is a thread's own: the other tests' is left alone.
    std::thread inside([&] {
        hindrance = enter_network();
        if (!hindrance)
            expect_same_on_a_returned_connection(GetParam());
    });
    inside.join();
    if (hindrance)
        GTEST_SKIP() << *hindrance;
}

} // namespace
} // namespace dlhandoff::test
