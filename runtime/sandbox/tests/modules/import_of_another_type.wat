(component
  (import "reactor:guest/random@0.1.0" (instance (export "next" (func (result string)))))
  (core module $m (func (export "f")))
  (core instance $i (instantiate $m))
  (func (export "handle") (canon lift (core func $i "f"))))
