#include "tests/unit/dlctl/sample_answers.hpp"

namespace dlhandoff::test {

using namespace std::chrono_literals;

dlctl::status_answer sample_status() {
    dlctl::status_answer status;
    admin::figures first;
    first.active = 1204;
    first.queued = 7;
    first.idle = 31;
    first.bytes_per_second = 118'000'000;
    first.bytes_sent = 9'876'543'210'123;
    first.descriptors_used = 2520;
    first.descriptors_limit = 65536;
    first.tcp_memory = 190'000'000;
    first.tcp_memory_budget = 512'000'000;
    first.offers = 1'234'567;
    first.claims = 1'234'000;
    first.late = 3;
    first.refusals = {{"full", 500}, {"not-tcp", 2}, {"descriptors-lost", 62}};
    admin::figures second;
    second.active = 2;
    second.descriptors_used = 40;
    second.descriptors_limit = 1024;
    status.managers = {{"m1", 4242, "live", first}, {"m2", 4243, "silent", second}};
    status.all.version = "1.2.3";
    status.all.wire = 4;
    status.all.managers = 2;
    status.all.counts = first;
    status.all.counts += second;
    return status;
}

dlctl::list_answer sample_list() {
    transfer_listing fast;
    fast.id = "mie3x2k1-3ab-1041";
    fast.manager = "m1";
    fast.state = "sending";
    fast.client = "192.0.2.7";
    fast.client_key = "192.0.2.7";
    fast.transfer_class = "default";
    fast.vhost = "example.org";
    fast.uri = "/images/debian-12-amd64.iso";
    fast.expected = 4'000'000'000;
    fast.sent = 1'001'000'000;
    fast.delivered = 1'000'000'000;
    fast.age = 10s;
    fast.bytes_per_second = 100'000'000;
    transfer_listing slow = fast;
    slow.id = "mie3x2k1-3ab-7";
    slow.client = "2001:db8:1234:5678:9abc:def0:1234:5678";
    slow.transfer_class = "bulk";
    slow.uri = "/v.mp4";
    slow.expected = 700'000'000;
    slow.sent = slow.delivered = 350'000'000;
    slow.bytes_per_second = 20'000;
    transfer_listing waiting = fast;
    waiting.id = "mie3x2k1-3ab-1042";
    waiting.state = "queued";
    waiting.expected = 70'000;
    waiting.sent = waiting.delivered = waiting.bytes_per_second = 0;
    transfer_listing closing = waiting;
    closing.id = "mie3x2k9-3ac-9";
    closing.state = "lingering";
    closing.sent = closing.delivered = closing.expected;
    return {slow, waiting, fast, closing};
}

transfer_listing hostile_transfer() {
    transfer_listing one = sample_list().front();
    one.id = "m1\x1b[31m";
    one.state = "\x07";
    one.client = "\x1b]0;owned\x07";
    one.transfer_class = "a\nb";
    one.vhost = "\x9b";
    one.uri = "/\xe9\u202e\r\x1b[2J";
    return one;
}

std::string encoded(const dlctl::status_answer& status) {
    std::string lines;
    for (const auto& one : status.managers)
        lines += admin::encode(one);
    return lines + admin::encode(status.all) + admin::encode(admin::end{});
}

std::string encoded(const dlctl::list_answer& transfers) {
    std::string lines;
    for (const auto& one : transfers)
        lines += admin::encode(one);
    return lines + admin::encode(admin::end{});
}

} // namespace dlhandoff::test
