#pragma once

#include "engine/event_loop.hpp"
#include "shared/file_descriptor.hpp"

#include <functional>
#include <initializer_list>

namespace dlhandoff::service {

/// Signals as events of a loop (signalfd(2)): they interrupt nothing and are handled between other events.
///
/// Blocks its signals for the thread that makes it, so make it before any other thread, which inherits that.
class signal_source final : public engine::event_handler {
  public:
    /// `call` gets each signal's number, on the loop's thread. Throws std::system_error.
    signal_source(engine::event_loop& loop, std::initializer_list<int> signals,
                  std::function<void(int)> call);
    ~signal_source();
    void on_events(std::uint32_t events) override;

  private:
    engine::event_loop& loop_;
    file_descriptor source_;
    std::function<void(int)> call_;
};

} // namespace dlhandoff::service
