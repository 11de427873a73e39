#include "tests/unit/dlctl/fake_service.hpp"

#include "shared/unix_address.hpp"
#include "tests/unit/dlctl/sample_answers.hpp"

#include <cstdlib>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace dlhandoff::test {

fake_service::fake_service(answer how) : answer_(std::move(how)) {
    char name[] = "/tmp/dlctl-test-XXXXXX";
    if (::mkdtemp(name) == nullptr)
        throw_errno("mkdtemp");
    directory_ = name;
    path_ = directory_ + "/admin.sock";
    listener_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!listener_ || !unix_address::of(path_).value().bind(listener_.get()) ||
        ::listen(listener_.get(), 8) < 0)
        throw_errno(path_.c_str());
    stop_.reset(::eventfd(0, EFD_CLOEXEC));
    thread_ = std::thread([this] { serve(); });
}

fake_service::fake_service()
    : fake_service([](const admin::request& asked) -> reply {
          if (asked.what == admin::command::status)
              return {encoded(sample_status())};
          if (asked.what == admin::command::list)
              return {encoded(sample_list())};
          return {admin::encode(admin::failure{"no such thing"})};
      }) {}

fake_service::~fake_service() {
    stop();
    ::unlink(path_.c_str());
    ::rmdir(directory_.c_str());
}

void fake_service::stop() {
    if (!thread_.joinable())
        return;
    const std::uint64_t one = 1;
    EXPECT_EQ(::write(stop_.get(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
    thread_.join();
    listener_.reset();
}

std::vector<admin::request> fake_service::requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
}

void fake_service::set_answer(answer how) {
    const std::lock_guard lock(mutex_);
    answer_ = std::move(how);
}

void fake_service::serve() {
    for (;;) {
        pollfd watched[] = {{stop_.get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}};
        ::poll(watched, 2, -1);
        if (watched[0].revents != 0)
            return;
        const file_descriptor client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (client)
            serve_one(client.get());
    }
}

void fake_service::serve_one(int client) {
    std::string line;
    char byte;
    while (line.find('\n') == std::string::npos && ::recv(client, &byte, 1, 0) == 1)
        line += byte;
    const auto decoded = admin::decode_request(line);
    const auto* asked = std::get_if<admin::request>(&decoded);
    if (asked == nullptr)
        return;
    answer how;
    {
        const std::lock_guard lock(mutex_);
        requests_.push_back(*asked);
        how = answer_;
    }
    const reply said = how(*asked);
    for (std::string_view rest = said.text; !rest.empty();) {
        const ssize_t sent = ::send(client, rest.data(), rest.size(), MSG_NOSIGNAL);
        if (sent < 0)
            return;
        rest.remove_prefix(static_cast<std::size_t>(sent));
    }
    if (said.after == reply::then::hang) {
        pollfd watched[] = {{stop_.get(), POLLIN, 0}, {client, POLLIN | POLLRDHUP, 0}};
        ::poll(watched, 2, -1);
    }
}

} // namespace dlhandoff::test
