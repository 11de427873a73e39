#include "shared/admin_protocol.hpp"

#include "shared/json_line.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>
#include <type_traits>

namespace dlhandoff::admin {
namespace {

using json = nlohmann::ordered_json;

constexpr std::uint64_t longest_time = 1ULL << 53; // milliseconds
constexpr std::array commands{command::status, command::list, command::cancel, command::drain};

/// Reads members of an object, and remembers the first one that is not of the right kind.
class reader {
  public:
    explicit reader(const json& object) : object_(object) {}

    void operator()(const char* key, std::string& into) {
        if (const json* found = find(key); found != nullptr && is(found->is_string()))
            into = found->get_ref<const std::string&>();
    }
    template <class Number>
    void operator()(const char* key, Number& into) {
        const json* found = find(key);
        if (found == nullptr || !is(found->is_number_unsigned()))
            return;
        const auto number = found->get<std::uint64_t>();
        if (is(number <= std::numeric_limits<Number>::max()))
            into = static_cast<Number>(number);
    }
    void operator()(const char* key, std::chrono::milliseconds& into) {
        std::uint64_t number = 0;
        (*this)(key, number);
        into = std::chrono::milliseconds(static_cast<std::int64_t>(std::min(number, longest_time)));
    }
    void operator()(const char* key, std::vector<std::pair<std::string, std::uint64_t>>& into) {
        const json* found = find(key);
        if (found == nullptr || !is(found->is_object()))
            return;
        for (const auto& [reason, number] : found->items())
            if (is(number.is_number_unsigned()))
                into.emplace_back(reason, number.get<std::uint64_t>());
    }
    [[nodiscard]] bool fine() const noexcept { return bad_.empty(); }
    [[nodiscard]] const std::string& bad() const noexcept { return bad_; } ///< the first such key

  private:
    [[nodiscard]] const json* find(const char* key) {
        key_ = key;
        const auto found = object_.find(key);
        return found == object_.end() ? nullptr : &*found;
    }
    bool is(bool right) {
        if (!right && bad_.empty())
            bad_ = key_;
        return right;
    }
    const json& object_;
    std::string bad_;
    const char* key_ = "";
};

/// The reverse: puts members into an object.
class writer {
  public:
    explicit writer(json& object) : object_(object) {}
    void operator()(const char* key, const std::chrono::milliseconds& value) { object_[key] = value.count(); }
    void operator()(const char* key, const std::vector<std::pair<std::string, std::uint64_t>>& value) {
        json& made = object_[key] = json::object();
        for (const auto& [reason, count] : value)
            made[reason] = count;
    }
    template <class Value>
    void operator()(const char* key, const Value& value) {
        object_[key] = value;
    }

  private:
    json& object_;
};

// The members of each object, in order. A reader reads them, a writer writes them.
template <class Value, class Of>
concept maybe_const = std::is_same_v<std::remove_const_t<Value>, Of>;

template <class Each>
void members(Each& each, maybe_const<figures> auto& of) {
    each("active", of.active);
    each("queued", of.queued);
    each("idle", of.idle);
    each("bytes_per_second", of.bytes_per_second);
    each("bytes_sent", of.bytes_sent);
    each("descriptors_used", of.descriptors_used);
    each("descriptors_limit", of.descriptors_limit);
    each("tcp_memory", of.tcp_memory);
    each("tcp_memory_budget", of.tcp_memory_budget);
    each("offers", of.offers);
    each("claims", of.claims);
    each("late", of.late);
    each("refusals", of.refusals);
}

template <class Each>
void members(Each& each, maybe_const<manager_report> auto& of) {
    each("name", of.name);
    each("pid", of.pid);
    each("state", of.state);
    members(each, of.counts);
}

template <class Each>
void members(Each& each, maybe_const<totals> auto& of) {
    each("managers", of.managers);
    each("version", of.version);
    each("wire", of.wire);
    members(each, of.counts);
}

template <class Each>
void members(Each& each, maybe_const<transfer_listing> auto& of) {
    each("id", of.id);
    each("manager", of.manager);
    each("state", of.state);
    each("client", of.client);
    each("client_key", of.client_key);
    each("class", of.transfer_class);
    each("vhost", of.vhost);
    each("uri", of.uri);
    each("expected", of.expected);
    each("sent", of.sent);
    each("delivered", of.delivered);
    each("age_ms", of.age);
    each("queued_ms", of.queued);
    each("bytes_per_second", of.bytes_per_second);
    each("tls", of.tls);
}

template <class Each>
void members(Each& each, maybe_const<cancelled> auto& of) {
    each("cancelled", of.id);
}

template <class Each>
void members(Each& each, maybe_const<draining> auto& of) {
    each("draining", of.managers);
}

template <class Each>
void members(Each& each, maybe_const<failure> auto& of) {
    each("error", of.message);
}

template <class Value>
std::optional<answer_line> read(const json& object) {
    Value value;
    reader each(object);
    members(each, value);
    return each.fine() ? std::optional<answer_line>(std::move(value)) : std::nullopt;
}

/// The text as the other side will see it.
std::string as_sent(const std::string& text) {
    return json::parse(to_line(text)).get<std::string>();
}

json parse(std::string_view line) {
    return json::parse(line, nullptr, false);
}

} // namespace

std::string_view name(command value) noexcept {
    switch (value) {
    case command::status:
        return "status";
    case command::list:
        return "list";
    case command::cancel:
        return "cancel";
    case command::drain:
        return "drain";
    }
    return "status";
}

bool selects(const request& asked, const transfer_listing& one) {
    const auto is = [](const std::string& wanted, const std::string& text) {
        return wanted == text || wanted == as_sent(text);
    };
    return (asked.client.empty() || is(asked.client, one.client) || is(asked.client, one.client_key)) &&
           (asked.class_name.empty() || is(asked.class_name, one.transfer_class));
}

figures& figures::operator+=(const figures& other) {
    active += other.active;
    queued += other.queued;
    idle += other.idle;
    bytes_per_second += other.bytes_per_second;
    bytes_sent += other.bytes_sent;
    descriptors_used += other.descriptors_used;
    descriptors_limit += other.descriptors_limit;
    tcp_memory += other.tcp_memory;
    tcp_memory_budget += other.tcp_memory_budget;
    offers += other.offers;
    claims += other.claims;
    late += other.late;
    for (const auto& more : other.refusals) {
        const auto found = std::find_if(refusals.begin(), refusals.end(),
                                        [&](const auto& each) { return each.first == more.first; });
        if (found == refusals.end())
            refusals.push_back(more);
        else
            found->second += more.second;
    }
    return *this;
}

std::string encode(const request& value) {
    json object{{"command", name(value.what)}};
    if (!value.client.empty())
        object["client"] = value.client;
    if (!value.class_name.empty())
        object["class"] = value.class_name;
    if (!value.id.empty())
        object["id"] = value.id;
    if (value.limit != 0)
        object["limit"] = value.limit;
    return to_line(object);
}

std::string encode(const answer_line& value) {
    json object = json::object();
    std::visit(
        [&object](const auto& line) {
            if constexpr (std::is_same_v<std::decay_t<decltype(line)>, end>) {
                object["end"] = true;
            } else {
                writer each(object);
                members(each, line);
            }
        },
        value);
    return to_line(object);
}

std::variant<request, std::string> decode_request(std::string_view line) {
    const json object = parse(line);
    if (!object.is_object())
        return "a request is one JSON object, on one line";
    std::string word;
    request asked;
    reader each(object);
    each("command", word);
    each("client", asked.client);
    each("class", asked.class_name);
    each("id", asked.id);
    each("limit", asked.limit);
    if (!each.fine())
        return "\"" + each.bad() + "\" has a value of the wrong kind";
    const auto found = std::find_if(commands.begin(), commands.end(),
                                    [&](command each_one) { return name(each_one) == word; });
    if (found == commands.end())
        return "unknown command \"" + word + "\"; there are status, list, cancel and drain";
    asked.what = *found;
    if (asked.what == command::cancel && asked.id.empty())
        return "cancel needs an \"id\"; list shows them";
    return asked;
}

std::optional<answer_line> decode_answer_line(std::string_view line) {
    const json object = parse(line);
    if (!object.is_object())
        return std::nullopt;
    if (object.contains("id"))
        return read<transfer_listing>(object);
    if (object.contains("name"))
        return read<manager_report>(object);
    if (object.contains("managers"))
        return read<totals>(object);
    if (object.contains("cancelled"))
        return read<cancelled>(object);
    if (object.contains("draining"))
        return read<draining>(object);
    if (object.contains("error"))
        return read<failure>(object);
    const auto found = object.find("end");
    return found != object.end() && *found == true ? std::optional<answer_line>(end{}) : std::nullopt;
}

} // namespace dlhandoff::admin
