#include "engine/files/file_sender.hpp"

#include "engine/files/file_table.hpp"
#include "tests/faulty_disk/faulty_disk.hpp"
#include "tests/unit/engine/download.hpp"

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

namespace dlhandoff::test {
namespace {

using engine::file_reference;
using engine::file_sender;
using engine::write_step;

/// The calling thread can't call sendfile(2) from now on: EPERM. False if the kernel can't do that.
bool forbid_sendfile() {
    sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sendfile, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog program{4, steps};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

file_reference adopt(engine::file_table& table, const std::string& path) {
    struct stat status {};
    file_descriptor opened(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!opened || ::fstat(opened.get(), &status) != 0)
        throw_errno(path.c_str());
    return table.adopt({status.st_dev, status.st_ino, static_cast<std::uint64_t>(status.st_size),
                        status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec},
                       std::move(opened));
}

/// Both ways of sending must do the same.
struct file_sender_test : testing::TestWithParam<bool> {
    void SetUp() override {
        std::signal(SIGPIPE, SIG_IGN);
        ASSERT_GE(::fcntl(connection.server.get(), F_SETFL, O_NONBLOCK), 0);
    }

    file_sender::result send(const file_reference& file, std::uint64_t offset, std::uint64_t count,
                             file_check check = file_check::size) {
        return sender.send(connection.server.get(), *file, offset, count, {check, GetParam()});
    }

    /// All of the file from `offset` on, as the client reads; the last result.
    file_sender::result send_all(const file_reference& file, std::uint64_t offset, std::uint64_t size) {
        file_sender::result last;
        while (offset < size) {
            last = send(file, offset, size - offset);
            offset += last.bytes;
            read_available(connection.client.get(), received);
            if (last.step != write_step::sent && last.step != write_step::would_block)
                break;
        }
        while (received.size() < offset && read_available(connection.client.get(), received))
            ;
        return last;
    }

    engine::file_table table;
    file_sender sender;
    tcp_pair connection;
    std::string received;
};

TEST_P(file_sender_test, every_byte_arrives) {
    const sample_file sample(3'000'000);
    const file_reference file = adopt(table, sample.path());
    EXPECT_EQ(send_all(file, 0, sample.content().size()).step, write_step::sent);
    EXPECT_TRUE(received == sample.content());
}

TEST_P(file_sender_test, a_stretch_is_sent_and_no_more) {
    const sample_file sample(300'000);
    const file_reference file = adopt(table, sample.path());
    const auto given = send(file, 1000, 500);
    EXPECT_EQ(given.step, write_step::sent);
    EXPECT_EQ(given.bytes, 500U);
    ::shutdown(connection.server.get(), SHUT_WR);
    while (read_available(connection.client.get(), received))
        ;
    EXPECT_TRUE(received == sample.content().substr(1000, 500));
}

TEST_P(file_sender_test, a_full_socket_would_block) {
    const sample_file sample(3'000'000);
    const file_reference file = adopt(table, sample.path());
    std::uint64_t offset = 0;
    file_sender::result last;
    while (last.step == write_step::sent) {
        last = send(file, offset % 2'000'000, 1'000'000);
        offset += last.bytes;
    }
    EXPECT_EQ(last.step, write_step::would_block);
    EXPECT_GT(offset, 0U);
}

TEST_P(file_sender_test, a_client_that_has_reset_is_gone) {
    const sample_file sample(300'000);
    const file_reference file = adopt(table, sample.path());
    const struct linger option { 1, 0 };
    ASSERT_EQ(::setsockopt(connection.client.get(), SOL_SOCKET, SO_LINGER, &option, sizeof option), 0);
    connection.client.reset();
    EXPECT_EQ(send(file, 0, 1000).step, write_step::client_gone);
}

TEST_P(file_sender_test, the_file_is_checked) {
    const sample_file sample(300'000);
    const file_reference file = adopt(table, sample.path());
    sample.append("more");
    EXPECT_EQ(send(file, 0, 1000, file_check::mtime).step, write_step::sent);
    const sample_file other(300'000);
    const file_reference touched = adopt(table, other.path());
    other.touch();
    EXPECT_EQ(send(touched, 0, 1000, file_check::mtime).step, write_step::file_changed);
    EXPECT_EQ(send(touched, 0, 1000).step, write_step::sent);
    other.shorten(299'999);
    EXPECT_EQ(send(touched, 0, 1000).step, write_step::file_changed);
}

TEST_P(file_sender_test, a_disk_that_fails_is_told_from_a_client_that_has_gone) {
    MOUNT_FAULTY_DISK(disk);
    const file_reference file = adopt(table, disk / faulty_disk::dying);
    const auto last = send_all(file, 0, faulty_disk::file_size);
    EXPECT_EQ(last.step, write_step::failed);
    EXPECT_EQ(last.error, EIO);
    EXPECT_LE(received.size(), faulty_disk::unreadable_from);
    EXPECT_TRUE(received == faulty_disk::content(received.size()));
}

TEST_P(file_sender_test, a_file_system_that_has_gone_is_told_from_a_client_that_has) {
    auto mounted = faulty_disk::mount("60"); // so that the file's state is still known afterwards
    if (const auto* reason = std::get_if<std::string>(&mounted))
        GTEST_SKIP() << *reason;
    const file_reference file = adopt(table, *std::get<0>(mounted) / faulty_disk::interrupted);
    std::get<0>(mounted).reset();
    const auto last = send(file, 5'000'000, 1000);
    EXPECT_EQ(last.step, write_step::failed);
    EXPECT_TRUE(last.error == ENOTCONN || last.error == EIO) << last.error; // sockets say the former, too
}

TEST_P(file_sender_test, interruptions_of_the_file_system_are_no_end) {
    MOUNT_FAULTY_DISK(disk);
    const file_reference file = adopt(table, disk / faulty_disk::interrupted);
    EXPECT_EQ(send_all(file, 0, faulty_disk::file_size).step, write_step::sent);
    EXPECT_TRUE(received == faulty_disk::content());
}

TEST_P(file_sender_test, short_answers_of_the_file_system_are_no_end) {
    // The kernel takes them for the file's end for as long as it keeps attributes.
    MOUNT_FAULTY_DISK(disk, "60");
    const file_reference file = adopt(table, disk / faulty_disk::halting);
    EXPECT_EQ(send_all(file, 0, faulty_disk::file_size).step, write_step::sent);
    EXPECT_TRUE(received == faulty_disk::content());
}

INSTANTIATE_TEST_SUITE_P(with, file_sender_test, testing::Bool(),
                         [](const auto& one) { return one.param ? "sendfile" : "copies"; });

TEST(file_sender, does_without_sendfile_where_it_is_told_to) {
    const sample_file sample(100'000);
    engine::file_table table;
    const file_reference file = adopt(table, sample.path());
    const tcp_pair connection;
    std::optional<file_sender::result> with, without;
    std::thread([&] {
        if (!forbid_sendfile())
            return;
        file_sender sender;
        with = sender.send(connection.server.get(), *file, 0, 1000, {file_check::size, true});
        without = sender.send(connection.server.get(), *file, 0, 1000, {file_check::size, false});
    }).join();
    if (!with)
        GTEST_SKIP() << "no seccomp filters here";
    EXPECT_EQ(with->step, write_step::failed);
    EXPECT_EQ(with->error, EPERM);
    EXPECT_EQ(without->step, write_step::sent);
    EXPECT_EQ(without->bytes, 1000U);
}

} // namespace
} // namespace dlhandoff::test
