;; A component for some other host, such as a command.
(component
  (core module $m (func (export "f") (result i32) (i32.const 0)))
  (core instance $i (instantiate $m))
  (func $run (result (result)) (canon lift (core func $i "f")))
  (instance $instance (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $instance)))
