#include "shared/descriptor_passing.hpp"

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <functional>
#include <gtest/gtest.h>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace dlhandoff {
namespace {

struct connection {
    file_descriptor worker;
    file_descriptor manager;
};

connection connect() {
    std::array<int, 2> ends{-1, -1};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) < 0)
        throw_errno("socketpair");
    return {file_descriptor(ends[0]), file_descriptor(ends[1])};
}

std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span(text));
}

std::string text_of(const received_message& message) {
    return {reinterpret_cast<const char*>(message.bytes.data()), message.bytes.size()};
}

file_descriptor open_null() {
    return file_descriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

bool same_file(int one, int other) {
    struct stat first {};
    struct stat second {};
    return ::fstat(one, &first) == 0 && ::fstat(other, &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino && first.st_rdev == second.st_rdev;
}

std::ptrdiff_t open_descriptors() {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
}

/// Sends what send_message() refuses to send.
ssize_t send_raw(int socket, std::string_view text, const std::vector<int>& descriptors) {
    iovec data{const_cast<char*>(text.data()), text.size()};
    std::vector<std::byte> control(CMSG_SPACE(descriptors.size() * sizeof(int)));
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(descriptors.size() * sizeof(int));
    std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size() * sizeof(int));
    return ::sendmsg(socket, &message, MSG_NOSIGNAL);
}

/// Runs `check` in a child process that can open `room` more descriptors; an empty answer means that all was
/// well.
std::string in_child_with_descriptors_left(rlim_t room, const std::function<std::string()>& check) {
    std::array<int, 2> ends{-1, -1};
    if (::pipe2(ends.data(), O_CLOEXEC) < 0)
        throw_errno("pipe2");
    const file_descriptor read_end(ends[0]);
    file_descriptor write_end(ends[1]);
    const pid_t child = ::fork();
    if (child < 0)
        throw_errno("fork");
    if (child == 0) {
        rlimit limit{};
        ::getrlimit(RLIMIT_NOFILE, &limit);
        // New descriptors get the lowest free numbers, so the limit is the first number that must not be
        // given out.
        std::vector<file_descriptor> probes;
        for (rlim_t i = 0; i <= room; ++i)
            probes.emplace_back(::fcntl(0, F_DUPFD_CLOEXEC, 0));
        limit.rlim_cur = static_cast<rlim_t>(probes.back().get());
        probes.clear();
        const std::string wrong = ::setrlimit(RLIMIT_NOFILE, &limit) == 0 ? check() : "setrlimit failed";
        const bool said = ::write(write_end.get(), wrong.data(), wrong.size()) >= 0;
        ::_exit(said ? 0 : 1);
    }
    write_end.reset();
    std::string answer;
    std::array<char, 256> part{};
    for (ssize_t size = 0; (size = ::read(read_end.get(), part.data(), part.size())) > 0;)
        answer.append(part.data(), static_cast<std::size_t>(size));
    int status = -1;
    if (::waitpid(child, &status, 0) != child || status != 0)
        answer += " (child ended with status " + std::to_string(status) + ")";
    return answer;
}

TEST(descriptor_passing, a_message_arrives_whole_and_alone) {
    const auto [worker, manager] = connect();
    EXPECT_EQ(send_message(worker.get(), bytes_of("first")), send_result::sent);
    EXPECT_EQ(send_message(worker.get(), bytes_of("second")), send_result::sent);
    received_message message;
    ASSERT_EQ(receive_message(manager.get(), 100, message), receive_result::message);
    EXPECT_EQ(text_of(message), "first");
    EXPECT_FALSE(message.truncated);
    EXPECT_FALSE(message.descriptors_lost);
    EXPECT_TRUE(message.descriptors.empty());
    ASSERT_EQ(receive_message(manager.get(), 100, message), receive_result::message);
    EXPECT_EQ(text_of(message), "second");
    EXPECT_EQ(receive_message(manager.get(), 100, message), receive_result::would_block);
}

TEST(descriptor_passing, descriptors_arrive_in_order_owned_and_close_on_exec) {
    const auto [worker, manager] = connect();
    const file_descriptor null = open_null();
    const file_descriptor self(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    const std::array<int, 2> sent{null.get(), self.get()};
    ASSERT_EQ(send_message(worker.get(), bytes_of("two"), sent), send_result::sent);
    received_message message;
    ASSERT_EQ(receive_message(manager.get(), 100, message), receive_result::message);
    ASSERT_EQ(message.descriptors.size(), 2U);
    EXPECT_TRUE(same_file(message.descriptors[0].get(), null.get()));
    EXPECT_TRUE(same_file(message.descriptors[1].get(), self.get()));
    for (const auto& received : message.descriptors) {
        EXPECT_NE(received.get(), null.get());
        EXPECT_NE(received.get(), self.get());
        EXPECT_NE(::fcntl(received.get(), F_GETFD) & FD_CLOEXEC, 0);
    }
    // What was sent is the sender's still.
    EXPECT_GE(::fcntl(null.get(), F_GETFD), 0);
    EXPECT_GE(::fcntl(self.get(), F_GETFD), 0);
}

TEST(descriptor_passing, the_next_receive_closes_what_was_not_taken) {
    const auto [worker, manager] = connect();
    const file_descriptor null = open_null();
    const std::array<int, 1> sent{null.get()};
    received_message message;
    ASSERT_EQ(send_message(worker.get(), bytes_of("x"), sent), send_result::sent);
    ASSERT_EQ(receive_message(manager.get(), 100, message), receive_result::message);
    const auto open_before = open_descriptors();
    EXPECT_EQ(receive_message(manager.get(), 100, message), receive_result::would_block);
    EXPECT_EQ(open_descriptors(), open_before - 1);
    EXPECT_TRUE(message.descriptors.empty());
}

TEST(descriptor_passing, as_many_descriptors_as_allowed) {
    const auto [worker, manager] = connect();
    const file_descriptor null = open_null();
    const std::vector<int> sent(max_descriptors, null.get());
    ASSERT_EQ(send_message(worker.get(), bytes_of("many"), sent), send_result::sent);
    received_message message;
    ASSERT_EQ(receive_message(manager.get(), 100, message), receive_result::message);
    EXPECT_EQ(message.descriptors.size(), max_descriptors);
    EXPECT_FALSE(message.descriptors_lost);
}

TEST(descriptor_passing, one_more_is_not_sent) {
    const auto [worker, manager] = connect();
    const file_descriptor null = open_null();
    const std::vector<int> sent(max_descriptors + 1, null.get());
    EXPECT_EQ(send_message(worker.get(), bytes_of("too many"), sent), send_result::failed);
    EXPECT_EQ(errno, EINVAL);
    received_message message;
    EXPECT_EQ(receive_message(manager.get(), 100, message), receive_result::would_block);
}

TEST(descriptor_passing, a_sender_of_too_many_is_noticed_and_costs_no_descriptor) {
    const auto [worker, manager] = connect();
    const file_descriptor null = open_null();
    const auto open_before = open_descriptors();
    {
        ASSERT_EQ(send_raw(worker.get(), "flood", std::vector<int>(200, null.get())), 5);
        received_message message;
        ASSERT_EQ(receive_message(manager.get(), 100, message), receive_result::message);
        EXPECT_EQ(text_of(message), "flood");
        EXPECT_TRUE(message.descriptors_lost);
        EXPECT_GE(message.descriptors.size(), max_descriptors);
    }
    EXPECT_EQ(open_descriptors(), open_before);
}

TEST(descriptor_passing, a_process_without_descriptors_left_learns_that_they_were_lost) {
    const auto [worker, manager] = connect();
    const file_descriptor null = open_null();
    const std::vector<int> sent(3, null.get());
    for (const std::size_t room : {0U, 1U, 2U}) {
        ASSERT_EQ(send_message(worker.get(), bytes_of("offer"), sent), send_result::sent);
        const int socket = manager.get();
        EXPECT_EQ(in_child_with_descriptors_left(room,
                                                 [&]() -> std::string {
                                                     received_message message;
                                                     if (receive_message(socket, 100, message) !=
                                                         receive_result::message)
                                                         return "no message";
                                                     if (text_of(message) != "offer")
                                                         return "other bytes";
                                                     if (!message.descriptors_lost)
                                                         return "the loss went unnoticed";
                                                     if (message.descriptors.size() != room)
                                                         return "other descriptors than there was room for";
                                                     return {};
                                                 }),
                  "")
            << "room for " << room;
    }
}

TEST(descriptor_passing, with_just_enough_room_nothing_is_lost) {
    const auto [worker, manager] = connect();
    const file_descriptor null = open_null();
    const std::vector<int> sent(3, null.get());
    ASSERT_EQ(send_message(worker.get(), bytes_of("offer"), sent), send_result::sent);
    const int socket = manager.get();
    EXPECT_EQ(in_child_with_descriptors_left(3,
                                             [&]() -> std::string {
                                                 received_message message;
                                                 if (receive_message(socket, 100, message) !=
                                                     receive_result::message)
                                                     return "no message";
                                                 return message.descriptors_lost ? "lost" : "";
                                             }),
              "");
}

TEST(descriptor_passing, a_longer_message_than_expected_is_marked) {
    const auto [worker, manager] = connect();
    ASSERT_EQ(send_message(worker.get(), bytes_of("0123456789")), send_result::sent);
    ASSERT_EQ(send_message(worker.get(), bytes_of("01234567")), send_result::sent);
    received_message message;
    ASSERT_EQ(receive_message(manager.get(), 8, message), receive_result::message);
    EXPECT_TRUE(message.truncated);
    EXPECT_EQ(text_of(message), "01234567");
    ASSERT_EQ(receive_message(manager.get(), 8, message), receive_result::message);
    EXPECT_FALSE(message.truncated);
}

TEST(descriptor_passing, a_message_beyond_the_send_buffer_fails_and_the_next_goes) {
    const auto [worker, manager] = connect();
    const int size = 4096;
    ASSERT_EQ(::setsockopt(worker.get(), SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
    const std::string large(1 << 20, 'x');
    EXPECT_EQ(send_message(worker.get(), bytes_of(large)), send_result::failed);
    EXPECT_EQ(errno, EMSGSIZE);
    EXPECT_EQ(send_message(worker.get(), bytes_of("small")), send_result::sent);
}

TEST(descriptor_passing, a_full_queue_blocks_nobody) {
    const auto [worker, manager] = connect();
    const std::string part(1024, 'x');
    int sent = 0;
    send_result result{};
    while ((result = send_message(worker.get(), bytes_of(part))) == send_result::sent && sent < 100'000)
        ++sent;
    EXPECT_EQ(result, send_result::would_block);
    received_message message;
    for (int i = 0; i < sent; ++i)
        ASSERT_EQ(receive_message(manager.get(), 2048, message), receive_result::message);
    EXPECT_EQ(receive_message(manager.get(), 2048, message), receive_result::would_block);
    EXPECT_EQ(send_message(worker.get(), bytes_of(part)), send_result::sent);
}

TEST(descriptor_passing, the_other_end_gone_is_told_from_an_error) {
    auto [worker, manager] = connect();
    ASSERT_EQ(send_message(worker.get(), bytes_of("last words")), send_result::sent);
    worker.reset();
    received_message message;
    ASSERT_EQ(receive_message(manager.get(), 100, message), receive_result::message);
    EXPECT_EQ(text_of(message), "last words");
    EXPECT_EQ(receive_message(manager.get(), 100, message), receive_result::peer_gone);
    EXPECT_TRUE(message.bytes.empty());
    EXPECT_EQ(send_message(manager.get(), bytes_of("answer")), send_result::peer_gone);
}

TEST(descriptor_passing, an_end_that_closes_over_unread_messages_is_gone_too) {
    auto [worker, manager] = connect();
    ASSERT_EQ(send_message(manager.get(), bytes_of("never read")), send_result::sent);
    worker.reset();
    received_message message;
    EXPECT_EQ(receive_message(manager.get(), 100, message), receive_result::peer_gone);
}

TEST(descriptor_passing, a_bad_socket_is_an_error) {
    const file_descriptor null = open_null();
    received_message message;
    EXPECT_EQ(send_message(null.get(), bytes_of("x")), send_result::failed);
    EXPECT_EQ(errno, ENOTSOCK);
    EXPECT_EQ(receive_message(null.get(), 100, message), receive_result::failed);
    EXPECT_EQ(errno, ENOTSOCK);
}

TEST(descriptor_passing, a_closed_descriptor_is_not_sent) {
    const auto [worker, manager] = connect();
    const std::array<int, 1> closed{-1};
    EXPECT_EQ(send_message(worker.get(), bytes_of("x"), closed), send_result::failed);
    EXPECT_EQ(errno, EBADF);
    received_message message;
    EXPECT_EQ(receive_message(manager.get(), 100, message), receive_result::would_block);
}

} // namespace
} // namespace dlhandoff
