/// What an offer costs, step by step: what a worker does for one handoff, and what a manager does before it
/// sends.
#include "shared/descriptor_passing.hpp"
#include "shared/offer.hpp"
#include "shared/ticket.hpp"
#include "shared/wire.hpp"
#include "tests/bench/sample.hpp"

#include <benchmark/benchmark.h>
#include <optional>
#include <sys/socket.h>
#include <unistd.h>

namespace dlhandoff::bench {
namespace {

constexpr file_identity some_file{2049, 1234567, 1'073'741'824, 1'785'499'200'000'000'000};

void offer_make(benchmark::State& state) {
    for (auto _ : state)
        benchmark::DoNotOptimize(typical_offer(some_file, static_cast<std::uint64_t>(state.range(0))));
}
BENCHMARK(offer_make)->Arg(1)->Arg(50)->ArgName("file_pieces");

void offer_decode(benchmark::State& state) {
    const offer made = typical_offer(some_file, static_cast<std::uint64_t>(state.range(0)));
    for (auto _ : state)
        benchmark::DoNotOptimize(offer::decode(made.message()));
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(made.message().size()));
}
BENCHMARK(offer_decode)->Arg(1)->Arg(50)->ArgName("file_pieces");

void ticket_offer_and_claim(benchmark::State& state) {
    ticket_slot slot;
    for (auto _ : state)
        benchmark::DoNotOptimize(claim_ticket(slot, offer_ticket(slot)));
}
BENCHMARK(ticket_offer_and_claim);

/// A pair of connected sockets, and two descriptors to pass, as for a plain download.
struct passing {
    passing() : file(4096) {
        int ends[2];
        if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
            throw_errno("socketpair");
        worker.reset(ends[0]);
        manager.reset(ends[1]);
    }
    file_descriptor worker, manager;
    sample file;
};

void send_and_receive_offer(benchmark::State& state) {
    const passing pair;
    const int descriptors[] = {pair.worker.get(), pair.file.descriptor()};
    const offer made = typical_offer(some_file);
    received_message message;
    for (auto _ : state) {
        if (send_message(pair.worker.get(), made.message(), descriptors) != send_result::sent ||
            receive_message(pair.manager.get(), max_offer_size, message) != receive_result::message)
            return state.SkipWithError("the message did not come through");
        message.descriptors.clear(); // closed
    }
}
BENCHMARK(send_and_receive_offer);

/// All of a handoff but for what the two processes wait for each other, on one thread.
void offer_claim_answer(benchmark::State& state) {
    const passing pair;
    const int descriptors[] = {pair.worker.get(), pair.file.descriptor()};
    ticket_slot slot;
    received_message message;
    for (auto _ : state) {
        offer made = typical_offer(some_file);
        made.set_ticket({0, offer_ticket(slot)});
        if (send_message(pair.worker.get(), made.message(), descriptors) != send_result::sent ||
            receive_message(pair.manager.get(), max_offer_size, message) != receive_result::message)
            return state.SkipWithError("the offer did not come through");
        const auto decoded = offer::decode(message.bytes);
        message.descriptors.clear();
        const auto* const offered = std::get_if<offer>(&decoded);
        if (offered == nullptr || !claim_ticket(slot, offered->claim_ticket().sequence))
            return state.SkipWithError("the offer was not claimed");
        const auto reply = encode(answer{offered->claim_ticket().sequence, true, {}});
        if (send_message(pair.manager.get(), reply) != send_result::sent ||
            receive_message(pair.worker.get(), answer_size, message) != receive_result::message ||
            !decode_answer(message.bytes))
            return state.SkipWithError("the answer did not come through");
    }
}
BENCHMARK(offer_claim_answer);

} // namespace
} // namespace dlhandoff::bench

BENCHMARK_MAIN();
