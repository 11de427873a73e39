#include "tests/unit/engine/client/return_listener.hpp"

#include "shared/descriptor_passing.hpp"
#include "shared/unix_address.hpp"

#include <cstdlib>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

namespace dlhandoff::test {

return_listener::return_listener(int backlog)
    : directory_("/tmp/dlhandoff-test-XXXXXX"),
      socket_(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    if (::mkdtemp(directory_.data()) == nullptr)
        throw_errno("mkdtemp");
    path_ = directory_ + "/return.sock";
    if (!unix_address::of(path_).value().bind(socket_.get()) || ::listen(socket_.get(), backlog) != 0)
        throw_errno("listen(return socket)");
}

return_listener::~return_listener() {
    close();
    ::rmdir(directory_.c_str());
}

void return_listener::close() {
    socket_.reset();
    ::unlink(path_.c_str());
}

std::optional<return_listener::returned> return_listener::accept() const {
    const file_descriptor manager(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!manager)
        return std::nullopt;
    received_message message;
    EXPECT_EQ(receive_message(manager.get(), 4096, message), receive_result::message);
    const auto said = decode_return(message.bytes);
    EXPECT_TRUE(said);
    EXPECT_EQ(message.descriptors.size(), 1U);
    if (!said || message.descriptors.size() != 1)
        return std::nullopt;
    return returned{*said, std::move(message.descriptors.front())};
}

} // namespace dlhandoff::test
