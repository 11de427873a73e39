#pragma once

#include "shared/file_descriptor.hpp"
#include "shared/wire.hpp"

#include <optional>
#include <string>

namespace dlhandoff::test {

/// A return socket, as httpd's parent has one.
class return_listener {
  public:
    explicit return_listener(int backlog = 8);
    ~return_listener();
    return_listener(const return_listener&) = delete;
    return_listener& operator=(const return_listener&) = delete;

    [[nodiscard]] const std::string& path() const noexcept { return path_; }

    struct returned {
        return_message said;
        file_descriptor client;
    };
    /// The next connection that came back, if there is one; fails the test if what came is anything else.
    [[nodiscard]] std::optional<returned> accept() const;

    /// As when httpd stops.
    void close();

  private:
    std::string directory_;
    std::string path_;
    file_descriptor socket_;
};

} // namespace dlhandoff::test
