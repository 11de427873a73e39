// What somebody may send to httpd's return socket: any bytes, with any descriptors or with more than fit.
// They go through a socket, since that is where a message can be cut short or lose its descriptors.
//
// An input: one byte for the descriptors (the lower four bits: how many; bit 4: what they are; bit 5: none
// are left in this process), then the message.

#include "shared/descriptor_passing.hpp"
#include "shared/wire.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fcntl.h>
#include <span>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace {

using namespace dlhandoff;

// Not assert(): it must hold in every build type.
void require(bool holds) {
    if (!holds)
        std::abort();
}

struct sockets {
    file_descriptor manager, httpd, client;
    sockets() {
        int ends[2];
        require(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
        manager.reset(ends[0]);
        httpd.reset(ends[1]);
        client.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    }
};

/// The number that the next descriptor of this process would get.
int lowest_free() {
    return file_descriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC)).get();
}

/// No descriptor can be made while it lives.
class descriptor_shortage {
  public:
    explicit descriptor_shortage(int lowest) {
        require(::getrlimit(RLIMIT_NOFILE, &before_) == 0);
        rlimit none = before_;
        none.rlim_cur = static_cast<rlim_t>(lowest);
        require(::setrlimit(RLIMIT_NOFILE, &none) == 0);
    }
    ~descriptor_shortage() { ::setrlimit(RLIMIT_NOFILE, &before_); }
    descriptor_shortage(const descriptor_shortage&) = delete;
    descriptor_shortage& operator=(const descriptor_shortage&) = delete;

  private:
    rlimit before_{};
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const sockets between;
    if (size == 0)
        return 0;
    const auto message = std::as_bytes(std::span(data + 1, size - 1));
    if (const auto decoded = decode_return(message))
        require(std::ranges::equal(encode(*decoded), message));

    const std::vector<int> descriptors(data[0] & 15U, (data[0] & 16U) != 0 ? between.client.get() : 0);
    const bool shortage = (data[0] & 32U) != 0;
    const int lowest = lowest_free();
    if (send_message(between.manager.get(), message, descriptors) != send_result::sent)
        return 0; // longer than the socket's buffer
    {
        received_message received;
        receive_result result;
        if (shortage) {
            const descriptor_shortage none(lowest);
            result = receive_message(between.httpd.get(), return_message_size, received);
        } else {
            result = receive_message(between.httpd.get(), return_message_size, received);
        }
        if (result == receive_result::peer_gone) {
            require(message.empty() && received.descriptors.empty());
        } else {
            require(result == receive_result::message);
            require(received.truncated == (message.size() > return_message_size));
            require(std::ranges::equal(received.bytes,
                                       message.first(std::min(message.size(), return_message_size))));
            require(received.descriptors_lost == (shortage && !descriptors.empty()));
            require(received.descriptors.size() == (shortage ? 0 : descriptors.size()));
            for (const file_descriptor& one : received.descriptors) {
                struct stat sent {
                }, came{};
                require(::fstat(descriptors.front(), &sent) == 0 && ::fstat(one.get(), &came) == 0);
                require(sent.st_dev == came.st_dev && sent.st_ino == came.st_ino);
                require((::fcntl(one.get(), F_GETFD) & FD_CLOEXEC) != 0);
            }
            if (const auto decoded = decode_return(received.bytes))
                require(std::ranges::equal(encode(*decoded), received.bytes));
        }
    }
    require(lowest_free() == lowest); // nothing that came is left open
    return 0;
}
