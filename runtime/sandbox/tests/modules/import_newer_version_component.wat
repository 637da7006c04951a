;; Built with an SDK that is newer than this host.
(component
  (import "reactor:guest/random@0.9.0" (instance (export "next" (func (result u64)))))
  (core module $m (func (export "f")))
  (core instance $i (instantiate $m))
  (func (export "handle") (canon lift (core func $i "f"))))
