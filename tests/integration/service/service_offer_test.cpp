// What a manager does with offers, good and bad: the test plays the worker.
#include "tests/integration/service/service_fixture.hpp"

#include <array>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <memory>
#include <netinet/in.h>
#include <ostream>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace dlhandoff::test {
namespace {

class service_offer : public service_fixture {
  public:
    service_offer() { manager.start(); }

    /// The manager's open descriptors when this worker alone is connected.
    [[nodiscard]] std::size_t count_descriptors(const worker_peer& one) const {
        EXPECT_TRUE(eventually([&] { return one.counters().connections.load() == 1; }));
        return descriptors_of(manager.manager_pid()).size();
    }

    /// Once the manager has dropped what a test gave it.
    void expect_descriptors(std::size_t count) const {
        EXPECT_TRUE(eventually([&] { return descriptors_of(manager.manager_pid()).size() == count; }))
            << "before " << count << ", now "
            << ::testing::PrintToString(descriptors_of(manager.manager_pid()));
    }
};

TEST_F(service_offer, claimed_is_sent_whole_and_logged) {
    worker_peer worker(manager.socket());
    EXPECT_EQ(worker.greeting().manager_pid, static_cast<std::uint32_t>(manager.manager_pid()));
    EXPECT_STREQ(worker.greeting().manager.data(), "m1");
    EXPECT_EQ(worker.status().pid.load(), static_cast<std::uint32_t>(manager.manager_pid()));
    EXPECT_EQ(worker.the_board().supervisor(), static_cast<std::uint32_t>(manager.pid()));
    EXPECT_EQ(worker.greeting().epoch, worker.the_board().epoch());
    expect_a_good_offer_works(worker);
    EXPECT_EQ(worker.counters().claims.load(), 1u);
    const auto line = transfer_log_reader(manager.transfer_log()).wait_for([](const auto&) { return true; });
    ASSERT_TRUE(line.has_value());
    EXPECT_EQ((*line)["outcome"], "complete");
    EXPECT_EQ((*line)["manager"], "m1");
    EXPECT_EQ((*line)["file_bytes"], 300'000);
    EXPECT_TRUE(eventually([&] { return worker.counters().active.load() == 0; }));
}

TEST_F(service_offer, a_file_that_only_the_worker_may_open_is_sent) {
    ASSERT_EQ(::chmod(document.c_str(), 0400), 0);
    worker_peer worker(manager.socket());
    expect_a_good_offer_works(worker);
}

TEST_F(service_offer, a_file_without_a_name_is_sent) {
    worker_peer worker(manager.socket());
    open_download download(document);
    const std::string expected = download.response();
    ASSERT_EQ(::unlink(document.c_str()), 0);
    ASSERT_TRUE(offer_to(worker, download).claimed);
    download.let_go();
    EXPECT_TRUE(download.client.read_to_end() == expected);
}

TEST_F(service_offer, sessions_have_slots_of_their_own_and_give_them_back) {
    worker_peer first(manager.socket());
    std::uint32_t given_back = 0;
    {
        worker_peer second(manager.socket());
        given_back = second.greeting().slot;
        EXPECT_NE(given_back, first.greeting().slot);
        EXPECT_TRUE(eventually([&] { return first.counters().connections.load() == 2; }));
    }
    ASSERT_TRUE(eventually([&] { return first.counters().connections.load() == 1; }));
    worker_peer third(manager.socket());
    EXPECT_EQ(third.greeting().slot, given_back);
    expect_a_good_offer_works(third);
    expect_a_good_offer_works(first);
}

/// A message that is wrong in one way, and what the manager must say to it.
struct abuse {
    const char* name;
    refusal expected;
    std::function<void(worker_peer&, open_download&)> send;
};

void PrintTo(const abuse& one, std::ostream* to) {
    *to << one.name;
}

class service_abuse : public service_offer, public ::testing::WithParamInterface<abuse> {};

TEST_P(service_abuse, is_refused_by_name_and_the_session_goes_on) {
    worker_peer worker(manager.socket());
    const std::size_t before = count_descriptors(worker);
    {
        open_download download(document);
        GetParam().send(worker, download);
        const auto said = worker.next_answer();
        ASSERT_TRUE(said.has_value()) << "the session has ended";
        EXPECT_FALSE(said->claimed);
        EXPECT_EQ(name(said->reason), name(GetParam().expected));
        EXPECT_EQ(worker.refusals(GetParam().expected), 1u);
        EXPECT_EQ(worker.counters().claims.load(), 0u);
        expect_descriptors(before);
        // The worker still has its connection and serves.
        if (::send(download.connection.get(), "x", 1, MSG_NOSIGNAL) == 1) {
            EXPECT_EQ(download.client.read(1), "x");
        } else {
            EXPECT_EQ(GetParam().expected, refusal::not_connected);
        }
    }
    expect_a_good_offer_works(worker);
    expect_descriptors(before);
}

/// Sends the download's offer with its bytes changed.
auto with_bytes(const std::function<void(std::vector<std::byte>&)>& change) {
    return [change](worker_peer& worker, open_download& download) {
        offer what = download.make_offer();
        (void)worker.take_ticket(what);
        std::vector<std::byte> bytes(what.message().begin(), what.message().end());
        change(bytes);
        const int descriptors[] = {download.connection.get(), download.file.get()};
        worker.send_bytes(bytes, descriptors);
    };
}

auto with_header(const std::function<void(message_header&)>& change) {
    return with_bytes([change](std::vector<std::byte>& bytes) {
        message_header header;
        std::memcpy(&header, bytes.data(), sizeof header);
        change(header);
        std::memcpy(bytes.data(), &header, sizeof header);
    });
}

/// Sends the download's offer with other descriptors; what `choose` returns is closed afterwards.
auto with_descriptors(const std::function<std::vector<file_descriptor>(open_download&)>& choose) {
    return [choose](worker_peer& worker, open_download& download) {
        offer what = download.make_offer();
        std::vector<int> numbers;
        const auto chosen = choose(download);
        for (const file_descriptor& one : chosen)
            numbers.push_back(one.get());
        (void)worker.send(what, numbers);
    };
}

auto with_client(int (*open)()) {
    return with_descriptors([open](open_download& download) {
        std::vector<file_descriptor> chosen;
        chosen.emplace_back(open());
        chosen.push_back(file_descriptor::duplicate_of(download.file.get()));
        return chosen;
    });
}

auto with_file(const std::function<int()>& open) {
    return with_descriptors([open](open_download& download) {
        std::vector<file_descriptor> chosen;
        chosen.push_back(file_descriptor::duplicate_of(download.connection.get()));
        chosen.emplace_back(open());
        return chosen;
    });
}

/// The document again, from another open(2).
auto with_document(int flags) {
    return with_descriptors([flags](open_download& download) {
        const std::string path = "/proc/self/fd/" + std::to_string(download.file.get());
        std::vector<file_descriptor> chosen;
        chosen.push_back(file_descriptor::duplicate_of(download.connection.get()));
        chosen.emplace_back(::open(path.c_str(), flags | O_CLOEXEC));
        return chosen;
    });
}

/// An offer, then something happens to what it names.
auto after_the_offer_is_made(const std::function<void(open_download&)>& happen) {
    return [happen](worker_peer& worker, open_download& download) {
        offer what = download.make_offer();
        happen(download);
        const int descriptors[] = {download.connection.get(), download.file.get()};
        (void)worker.send(what, descriptors);
    };
}

auto with_ticket(const std::function<ticket(const ticket&)>& change) {
    return [change](worker_peer& worker, open_download& download) {
        offer what = download.make_offer();
        (void)worker.take_ticket(what);
        what.set_ticket(change(what.claim_ticket()));
        const int descriptors[] = {download.connection.get(), download.file.get()};
        worker.send_bytes(what.message(), descriptors);
    };
}

std::vector<file_descriptor> copies_of(int number, std::size_t count) {
    std::vector<file_descriptor> copies;
    for (std::size_t i = 0; i < count; ++i)
        copies.push_back(file_descriptor::duplicate_of(number));
    return copies;
}

int tcp_listener() {
    const int made = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)::listen(made, 1);
    return made;
}

int one_end_of_a_unix_pair() {
    std::array<int, 2> pair{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) < 0)
        throw_errno("socketpair");
    ::close(pair[1]);
    return pair[0];
}

/// More than send_message() would send, and than a manager makes room for (SCM_MAX_FD is 253).
void send_too_many_descriptors(worker_peer& worker, open_download& download) {
    offer what = download.make_offer();
    (void)worker.take_ticket(what);
    std::array<int, 253> numbers{};
    numbers.fill(download.file.get());
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof numbers)> control{};
    iovec data{const_cast<std::byte*>(what.message().data()), what.message().size()};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof numbers);
    std::memcpy(CMSG_DATA(header), numbers.data(), sizeof numbers);
    ASSERT_GE(::sendmsg(worker.socket(), &message, MSG_NOSIGNAL), 0);
}

const abuse abuses[] = {
    {"eight_bytes", refusal::truncated, with_bytes([](auto& bytes) { bytes.resize(8); })},
    {"a_header_alone", refusal::truncated,
     with_bytes([](auto& bytes) { bytes.resize(sizeof(message_header)); })},
    {"a_byte_short", refusal::truncated, with_bytes([](auto& bytes) { bytes.pop_back(); })},
    {"a_byte_long", refusal::malformed, with_bytes([](auto& bytes) { bytes.push_back({}); })},
    {"oversized", refusal::oversized, with_bytes([](auto& bytes) { bytes.resize(max_offer_size + 1); })},
    {"counts_out_of_bounds", refusal::oversized, with_bytes([](auto& bytes) {
         std::memset(bytes.data() + sizeof(message_header), 0xff, bytes.size() - sizeof(message_header));
     })},
    {"nothing_after_its_header", refusal::malformed, with_bytes([](auto& bytes) {
         std::memset(bytes.data() + sizeof(message_header), 0, bytes.size() - sizeof(message_header));
     })},
    {"later_version", refusal::wire_version, with_header([](auto& header) { ++header.version; })},
    {"bad_magic", refusal::malformed, with_header([](auto& header) { header.magic ^= 1; })},
    {"another_type", refusal::malformed,
     with_header([](auto& header) { header.type = message_type::hello; })},
    {"no_descriptor", refusal::missing_descriptor, with_descriptors([](auto&) { return copies_of(0, 0); })},
    {"the_client_only", refusal::missing_descriptor,
     with_descriptors([](auto& download) { return copies_of(download.connection.get(), 1); })},
    {"a_file_too_many", refusal::extra_descriptor, with_descriptors([](auto& download) {
         auto chosen = copies_of(download.connection.get(), 1);
         chosen.push_back(file_descriptor::duplicate_of(download.file.get()));
         chosen.push_back(file_descriptor::duplicate_of(download.file.get()));
         return chosen;
     })},
    {"as_many_as_fit", refusal::extra_descriptor,
     with_descriptors([](auto& download) { return copies_of(download.connection.get(), max_descriptors); })},
    {"more_than_fit", refusal::descriptors_lost, send_too_many_descriptors},
    {"udp_for_client", refusal::not_tcp,
     with_client([] { return ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0); })},
    {"unix_for_client", refusal::not_tcp, with_client(one_end_of_a_unix_pair)},
    {"device_for_client", refusal::not_tcp,
     with_client([] { return ::open("/dev/null", O_RDWR | O_CLOEXEC); })},
    {"listener_for_client", refusal::not_connected, with_client(tcp_listener)},
    {"unconnected_client", refusal::not_connected,
     with_client([] { return ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); })},
    {"client_has_reset", refusal::not_connected, after_the_offer_is_made([](auto& download) {
         download.client.reset();
         char byte = 0;
         ASSERT_TRUE(eventually(
             [&] { return ::recv(download.connection.get(), &byte, 1, MSG_PEEK) < 0 && errno != EAGAIN; }));
     })},
    {"directory_for_file", refusal::not_regular_file,
     with_file([] { return ::open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC); })},
    {"device_for_file", refusal::not_regular_file,
     with_file([] { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); })},
    {"socket_for_file", refusal::not_regular_file, with_file(one_end_of_a_unix_pair)},
    {"write_only_file", refusal::not_readable, with_document(O_WRONLY)},
    {"path_only_file", refusal::not_readable, with_document(O_PATH)},
    {"another_file", refusal::file_changed,
     with_file([] { return ::open("/etc/passwd", O_RDONLY | O_CLOEXEC); })},
    {"file_shorter_than_the_plan", refusal::file_changed, after_the_offer_is_made([](auto& download) {
         const std::string path = "/proc/self/fd/" + std::to_string(download.file.get());
         ASSERT_EQ(::truncate(path.c_str(), 100), 0);
     })},
    {"slot_of_another", refusal::ticket, with_ticket([](ticket one) {
         ++one.slot;
         return one;
     })},
    {"slot_outside_the_board", refusal::ticket, with_ticket([](ticket one) {
         one.slot = 0xffffffff;
         return one;
     })},
    {"ticket_never_offered", refusal::ticket, with_ticket([](ticket one) {
         ++one.sequence;
         return one;
     })},
};

INSTANTIATE_TEST_SUITE_P(all, service_abuse, ::testing::ValuesIn(abuses),
                         [](const auto& one) { return std::string(one.param.name); });

TEST_F(service_offer, a_ticket_is_good_for_one_claim) {
    worker_peer worker(manager.socket());
    make_document(large, 8'000'000); // under way still when it is offered again
    open_download download(large, 16'384);
    offer what = download.make_offer();
    const int descriptors[] = {download.connection.get(), download.file.get()};
    (void)worker.send(what, descriptors);
    ASSERT_TRUE(worker.next_answer().value().claimed);
    worker.send_bytes(what.message(), descriptors);
    const answer again = worker.next_answer().value();
    EXPECT_FALSE(again.claimed);
    EXPECT_EQ(again.reason, refusal::ticket);
    download.let_go();
    EXPECT_TRUE(download.client.read_to_end() == download.response());
}

TEST_F(service_offer, revoked_before_the_claim_stays_the_workers) {
    worker_peer worker(manager.socket());
    const std::size_t before = count_descriptors(worker);
    open_download download(document);
    offer what = download.make_offer();
    const int descriptors[] = {download.connection.get(), download.file.get()};
    manager.hang();
    const std::uint64_t sequence = worker.send(what, descriptors);
    EXPECT_TRUE(worker.revoke(sequence));
    manager.resume();
    const answer said = worker.next_answer().value();
    EXPECT_EQ(said.sequence, sequence);
    EXPECT_FALSE(said.claimed);
    EXPECT_EQ(worker.counters().late.load(), 1u);
    EXPECT_EQ(worker.counters().claims.load(), 0u);
    expect_descriptors(before);
    download.let_go();
    EXPECT_EQ(download.client.read_to_end(), "");
    expect_a_good_offer_works(worker);
}

TEST_F(service_offer, that_a_manager_finds_when_it_ends_is_answered) {
    worker_peer worker(manager.socket());
    expect_a_good_offer_works(worker);
    worker_peer newcomer(manager.socket());
    open_download download(document);
    offer what = download.make_offer();
    const int descriptors[] = {download.connection.get(), download.file.get()};
    stop_process(manager.manager_pid());
    manager.signal(SIGTERM);
    EXPECT_TRUE(eventually([&] { return !std::filesystem::exists(manager.socket()); }));
    (void)worker.send(what, descriptors);
    manager.resume();
    for (worker_peer* one : {&worker, &newcomer}) {
        const auto said = one->next_answer();
        ASSERT_TRUE(said.has_value());
        if (said->claimed)
            continue; // the offer was there a moment before the order to end
        EXPECT_EQ(said->sequence, 0u);
        EXPECT_EQ(said->reason, refusal::stopping);
    }
}

TEST_F(service_offer, without_an_answer_nothing_is_sent) {
    worker_peer observer(manager.socket());
    const std::size_t before = count_descriptors(observer);
    open_download download(document);
    {
        worker_peer worker(manager.socket());
        offer what = download.make_offer();
        const int descriptors[] = {download.connection.get(), download.file.get()};
        manager.hang();
        (void)worker.send(what, descriptors);
    }
    manager.resume();
    ASSERT_TRUE(eventually([&] { return observer.counters().connections.load() == 1; }));
    EXPECT_EQ(observer.counters().offers.load(), 1u);
    expect_descriptors(before);
    download.let_go();
    EXPECT_EQ(download.client.read_to_end(), "");
}

class service_at_its_limit : public service_fixture {
  public:
    service_at_its_limit() { manager.start(64); }
};

TEST_F(service_at_its_limit, turns_workers_away_with_a_word_and_lets_those_go_that_wait_for_nothing) {
    constexpr std::size_t most_sessions = 64 / 4;
    std::vector<worker_peer> workers;
    std::string refused;
    while (refused.empty() && workers.size() < 100)
        try {
            workers.emplace_back(manager.socket());
        } catch (const std::exception& why) {
            refused = why.what();
        }
    EXPECT_THAT(refused, ::testing::HasSubstr("full"));
    EXPECT_EQ(workers.size(), most_sessions);
    EXPECT_EQ(workers.front().refusals(refusal::full), 1u);
    // Who has been served may be sent away for the next, and who never offers anything.
    expect_a_good_offer_works(workers.back());
    worker_peer next(manager.socket());
    EXPECT_FALSE(workers.back().next_answer().has_value());
    expect_a_good_offer_works(next);
    std::vector<worker_peer> late;
    while (late.size() < most_sessions - 1)
        ASSERT_TRUE(eventually([&] {
            try {
                late.emplace_back(manager.socket());
                return true;
            } catch (const std::runtime_error&) {
                return false;
            }
        })) << late.size();
    EXPECT_LT(descriptors_of(manager.manager_pid()).size(), 64u);
}

TEST_F(service_at_its_limit, has_room_again_when_workers_are_silent) {
    std::vector<worker_peer> workers;
    for (std::size_t i = 0; i < 64 / 4; ++i)
        workers.emplace_back(manager.socket());
    const manager_status& status = workers.front().status();
    std::vector<std::unique_ptr<open_download>> downloads;
    while (status.room == room_level::plenty && downloads.size() < 64)
        downloads.push_back(begin_slow_download(workers.back()));
    ASSERT_EQ(status.room, room_level::low);
    EXPECT_TRUE(eventually([&] { return status.room == room_level::plenty; }));
    EXPECT_EQ(status.load, downloads.size());
    EXPECT_GT(status.counters.connections.load(), 0U) << "more have gone than it took";
}

TEST_F(service_at_its_limit, refuses_offers_whose_descriptors_are_lost_and_recovers) {
    worker_peer worker(manager.socket());
    {
        open_download download(document);
        offer what = download.make_offer();
        std::vector<int> numbers(max_descriptors, download.file.get());
        numbers.front() = download.connection.get();
        (void)worker.send(what, numbers);
        const answer said = worker.next_answer().value();
        EXPECT_FALSE(said.claimed);
        EXPECT_EQ(name(said.reason), name(refusal::descriptors_lost));
        EXPECT_EQ(worker.refusals(refusal::descriptors_lost), 1u);
    }
    expect_a_good_offer_works(worker);
    EXPECT_TRUE(worker_peer::try_connect(manager.socket()).has_value());
}

} // namespace
} // namespace dlhandoff::test
