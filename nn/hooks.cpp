#include <xtape/autodiff/diagnostics.hpp>
#include <xtape/nn/module.hpp>

// Calls of modules, and who is told of them.
namespace xtape::nn {

struct ForwardHook::Data {
  Function f;
  bool active = true;
};

void ForwardHook::remove() {
  if (data_) data_->active = false;
}

bool ForwardHook::active() const { return data_ && data_->active; }

ForwardHook Module::add_forward_hook(ForwardHook::Function hook) {
  ForwardHook handle;
  handle.data_ = std::make_shared<ForwardHook::Data>(ForwardHook::Data{std::move(hook)});
  std::erase_if(hooks_, [](const auto& h) { return !h->active; });
  hooks_.push_back(handle.data_);
  return handle;
}

ForwardHook Module::add_output_gradient_hook(std::function<Var(const Var&)> hook) {
  const ForwardHook handle = add_forward_hook({});
  handle.data_->f = [hook = std::move(hook), self = std::weak_ptr(handle.data_)](
                        const Module&, std::span<const Var>, const Var& y) {
    if (!y.tape()) return;
    add_gradient_hook(y, [hook, self](const Var& g) {
      const auto data = self.lock();
      return data && data->active ? hook(g) : Var();
    });
  };
  return handle;
}

void Module::call_hooks(std::span<const Var> in, const Var& out) const {
  const auto hooks = hooks_;  // they may add and remove some
  for (const auto& hook : hooks) {
    if (hook->active) hook->f(*this, in, out);
  }
}

Var Module::operator()(const Var& x) const {
  return located([&] {
    Var y = forward(x);
    if (!hooks_.empty()) call_hooks({&x, 1}, y);
    return y;
  });
}

Var Module::operator()(std::span<const Var> xs) const {
  return located([&] {
    Var y = forward_all(xs);
    if (!hooks_.empty()) call_hooks(xs, y);
    return y;
  });
}

}  // namespace xtape::nn
